/*
 * loans.h: memory that is lent to the kernel while it sends from it: which buffers it holds, what
 * it said when it let go, and which sends are worth lending for. This is what MSG_ZEROCOPY
 * (zerocopy.h) and io_uring (zerocopy_ring.h) have in common.
 */
#ifndef ZC_LOANS_H
#define ZC_LOANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "zc.h"

/* Buffers, numbered from 0. */
#define LOANS_BUFFERS_MAX 1024
/* Parts of one send. */
#define LOANS_PARTS_MAX ZC_CHANNEL_PARTS_MAX

/* What the kernel has let go of, as far as it is known whether that was copied. */
struct loans_buffer {
    uint32_t in_flight; /* sends that still hold it */
    uint32_t uncopied;  /* sends that it has let go of since loans_reuse, by what it said */
    uint32_t copied;
    uint32_t unknown;
    bool is_listed; /* in `freed` */
};

struct loans_options {
    uint64_t piece;      /* bytes a send, at most */
    uint64_t worthwhile; /* bytes: shorter sends are copied */
    bool required;       /* never copy, and never stop asking for what the kernel copies */
    bool adapts;         /* smaller pieces when one was copied (vsock's credit) */
};

struct job;

struct loans {
    struct job *job;
    struct loans_options options;
    int fd;
    bool datagrams;     /* a send is a message: never cut it into pieces */
    bool refused;       /* this socket cannot: every send is copied */
    uint64_t piece;     /* bytes a send now: halved where that is too much */
    uint32_t in_flight; /* sends that hold a buffer */
    struct loans_buffer buffers[LOANS_BUFFERS_MAX];
    uint16_t freed[LOANS_BUFFERS_MAX]; /* buffers that became free: loans_next_freed */
    unsigned freed_count;
    int late_error; /* -errno of a datagram that is long sent (IP_RECVERR); whoever takes it clears
                     */
    unsigned sends_since_halving;
    struct loans_pause {
        uint32_t completions, uncopied; /* since the last decision, as far as it is known */
        uint32_t needed;                /* completions for the next one */
        uint32_t left;                  /* sends to copy until the next try */
        uint32_t length;                /* of the next pause, in sends */
    } pause;
};

enum loans_usage { LOANS_UNCOPIED, LOANS_COPIED, LOANS_UNKNOWN };

/* Returns 0, or -errno: it is no socket. */
int loans_open(struct loans *loans, int fd, const struct loans_options *options, struct job *job);

/* Whether to ask for a send of `size` bytes without a copy. */
bool loans_are_worthwhile(struct loans *loans, size_t size);

/*
 * A send of `size` bytes does not fit the memory that may be locked, though nothing is in flight.
 * Returns 0 for another try, with a smaller piece or, after all, copying; or -ENOBUFS.
 */
int loans_take_less(struct loans *loans, size_t size);

/* A send from `buffer` began, and ended: the kernel has let go of it. */
void loans_lend(struct loans *loans, unsigned buffer);
void loans_let_go(struct loans *loans, unsigned buffer, enum loans_usage usage);

/*
 * Completions were read; before, `copied_before` had been copied in all (zc_stats). Makes pieces
 * smaller, if they adapt, and decides whether to go on asking.
 */
void loans_learn(struct loans *loans, uint64_t copied_before);

/* Notes the error of an earlier datagram, if that is what the error queue tells of. */
void loans_hear(struct loans *loans, const struct zc_notice *notice);

/* `buffer` gets other content: what was known of its sends is forgotten. It must be free. */
void loans_reuse(struct loans *loans, unsigned buffer);

/* A buffer that was sent from, and became free, each once; or -1. It may be in use again. */
int loans_next_freed(struct loans *loans);

/* The first `limit` bytes of the parts, in at most LOANS_PARTS_MAX. Returns how many parts. */
size_t loans_cut(const struct iovec *parts, size_t count, size_t limit, struct iovec *out);

size_t loans_size(const struct iovec *parts, size_t count);

static inline bool loans_is_free(const struct loans *loans, unsigned buffer)
{
#ifdef ZC_TEST_NO_WAIT /* for test/lab/channel.test.ts, which must see what that does */
    return true;
#endif
    return loans->buffers[buffer].in_flight == 0;
}

#endif
