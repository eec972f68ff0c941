/*
 * engine.h: what a channel (channel.c) needs of a way to send without copies: zerocopy_engine is
 * MSG_ZEROCOPY (zerocopy.c), zerocopy_ring_engine is io_uring (zerocopy_ring.c). The books are
 * struct loans', the first member of what either keeps.
 */
#ifndef ZC_ENGINE_H
#define ZC_ENGINE_H

#include "loans.h"

/* Sends a call. */
#define ENGINE_BATCH_MAX 64

struct engine_send {
    unsigned buffer;
    const struct iovec *parts; /* what is left of it */
    size_t count;
    ssize_t result; /* bytes taken, perhaps fewer than there are; or as zerocopy_send */
    bool is_copied; /* the kernel was not asked */
};

struct engine {
    unsigned batch; /* sends a call, at most ENGINE_BATCH_MAX */
    /* Returns 0, also where every send will be copied and that is not forbidden; or -errno. */
    int (*open)(struct loans *loans, int fd, const struct loans_options *options, struct job *job);
    /*
     * Sends some of each, in their order, without waiting. Returns how many have a result, at least
     * one: all that have one before the last are wholly sent. Or -errno: nothing works any more.
     */
    int (*send)(struct loans *loans, struct engine_send *sends, unsigned count);
    /*
     * Takes what the kernel has let go of. `ready` is what poll(2) said of the socket, when it or
     * the job's wake_fd ended a sleep. Returns how many messages there were, or -errno.
     */
    int (*drain)(struct loans *loans, int ready);
    /* After any result of `open`. */
    void (*close)(struct loans *loans);
};

extern const struct engine zerocopy_engine, zerocopy_ring_engine;

#endif
