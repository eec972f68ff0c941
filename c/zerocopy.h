/*
 * zerocopy.h: sends with MSG_ZEROCOPY, and the error queue that says when the kernel has let go
 * (Documentation/networking/msg_zerocopy.rst). It keeps the books, which send used which buffer,
 * and decides which sends are worth asking for.
 */
#ifndef ZC_ZEROCOPY_H
#define ZC_ZEROCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "zc.h"

/* Sends in flight at most; a power of two, far above what option memory allows (optmem_max). */
#define ZEROCOPY_IDS_MAX 4096
/* Buffers, numbered from 0. */
#define ZEROCOPY_BUFFERS_MAX 1024
/* Parts of one send. */
#define ZEROCOPY_PARTS_MAX ZC_CHANNEL_PARTS_MAX

/* What the kernel has let go of, as far as it is known whether that was copied. */
struct zerocopy_buffer {
    uint32_t in_flight; /* sends that still hold it */
    uint32_t uncopied;  /* sends that it has let go of since zerocopy_reuse, by what it said */
    uint32_t copied;
    uint32_t unknown; /* in a joined range all but the first id: it has one flag for all */
    bool is_listed;   /* in `freed` */
};

struct zerocopy_options {
    uint64_t piece;      /* bytes a send, at most */
    uint64_t worthwhile; /* bytes: shorter sends are copied */
    bool required;       /* never copy, and never stop asking for what the kernel copies */
    bool adapts;         /* smaller pieces when one was copied (vsock's credit) */
};

struct job;

struct zerocopy {
    struct job *job;
    struct zerocopy_options options;
    int fd;
    bool datagrams;  /* a send is a message: never cut it into pieces */
    bool refused;    /* this socket cannot: every send is copied */
    uint64_t piece;  /* bytes a send now: halved where that is too much */
    uint32_t oldest; /* of the ids in flight; ids wrap at 2^32 */
    uint32_t next;   /* id of the next send */
    struct zerocopy_id {
        uint16_t buffer; /* or BUFFER_RELEASED */
        int64_t sent_ns;
    } ids[ZEROCOPY_IDS_MAX]; /* by id modulo ZEROCOPY_IDS_MAX */
    struct zerocopy_buffer buffers[ZEROCOPY_BUFFERS_MAX];
    uint16_t freed[ZEROCOPY_BUFFERS_MAX]; /* buffers that became free: zerocopy_next_freed */
    unsigned freed_count;
    int late_error; /* -errno of a datagram that is long sent (IP_RECVERR); whoever takes it clears
                     */
    unsigned sends_since_drain;
    unsigned sends_since_halving;
    struct zerocopy_pause {
        uint32_t completions, uncopied; /* since the last decision, as far as it is known */
        uint32_t needed;                /* completions for the next one */
        uint32_t left;                  /* sends to copy until the next try */
        uint32_t length;                /* of the next pause, in sends */
    } pause;
};

/*
 * Turns SO_ZEROCOPY on. -EOPNOTSUPP: this kind of socket has none; -EBUSY: somebody else has
 * turned it on before, and counts ids that we do not know. It can be used after these all the
 * same: then every send is copied.
 */
int zerocopy_open(struct zerocopy *zerocopy, int fd, const struct zerocopy_options *options,
                  struct job *job);

/*
 * Sends some of what `parts` point to, once, without waiting; all of it belongs to `buffer`.
 * Returns the bytes taken, or
 *   -EAGAIN   the socket is full: wait for POLLOUT;
 *   -EBUSY    too much is in flight: wait for completions;
 *   -ENOBUFS  `required`, and the limits are too low for even a small send;
 * or send(2)'s -errno.
 */
ssize_t zerocopy_send(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                      size_t count);

/* Reads the error queue until it is empty. Returns the messages read, or -errno. */
int zerocopy_drain(struct zerocopy *zerocopy);

/* The same, once in so many sends: what keeps the queue short while nothing has to be waited for.
 */
int zerocopy_drain_sometimes(struct zerocopy *zerocopy);

/* `buffer` gets other content: what was known of its sends is forgotten. It must be free. */
void zerocopy_reuse(struct zerocopy *zerocopy, unsigned buffer);

/* A buffer that was sent from, and became free, each once; or -1. It may be in use again. */
int zerocopy_next_freed(struct zerocopy *zerocopy);

/* A send from `buffer` took the next id. (The part of zerocopy_send that needs no kernel.) */
void zerocopy_note_send(struct zerocopy *zerocopy, unsigned buffer);

/*
 * Ids `low` to `high`, inclusive, are released. -EPROTO: one of them was never sent. Ids that were
 * released before are not counted again. (The part of zerocopy_drain that needs no kernel.)
 */
int zerocopy_release(struct zerocopy *zerocopy, uint32_t low, uint32_t high, bool copied);

static inline uint32_t zerocopy_in_flight(const struct zerocopy *zerocopy)
{
    return zerocopy->next - zerocopy->oldest;
}

static inline bool zerocopy_buffer_is_free(const struct zerocopy *zerocopy, unsigned buffer)
{
#ifdef ZC_TEST_NO_WAIT /* for test/lab/channel.test.ts, which must see what that does */
    return true;
#endif
    return zerocopy->buffers[buffer].in_flight == 0;
}

#endif
