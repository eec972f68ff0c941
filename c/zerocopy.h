/*
 * zerocopy.h: sends with MSG_ZEROCOPY, and the error queue that says when the kernel has let go
 * (Documentation/networking/msg_zerocopy.rst). It keeps the books, which send used which buffer.
 */
#ifndef ZC_ZEROCOPY_H
#define ZC_ZEROCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loans.h"

/* Sends in flight at most; a power of two, far above what option memory allows (optmem_max). */
#define ZEROCOPY_IDS_MAX 4096

struct zerocopy {
    struct loans loans; /* first: an engine's */
    uint32_t oldest;    /* of the ids in flight; ids wrap at 2^32 */
    uint32_t next;      /* id of the next send */
    struct zerocopy_id {
        uint16_t buffer; /* or BUFFER_RELEASED */
        int64_t sent_ns;
    } ids[ZEROCOPY_IDS_MAX]; /* by id modulo ZEROCOPY_IDS_MAX */
    unsigned sends_since_drain;
};

/*
 * Turns SO_ZEROCOPY on. -EOPNOTSUPP: this kind of socket has none; -EBUSY: somebody else has
 * turned it on before, and counts ids that we do not know. It can be used after these all the
 * same: then every send is copied.
 */
int zerocopy_open(struct zerocopy *zerocopy, int fd, const struct loans_options *options,
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

/* A send from `buffer` took the next id. (The part of zerocopy_send that needs no kernel.) */
void zerocopy_note_send(struct zerocopy *zerocopy, unsigned buffer);

/*
 * Ids `low` to `high`, inclusive, are released. -EPROTO: one of them was never sent. Ids that were
 * released before are not counted again. (The part of zerocopy_drain that needs no kernel.)
 */
int zerocopy_release(struct zerocopy *zerocopy, uint32_t low, uint32_t high, bool copied);

/* From the oldest that is not released. */
static inline uint32_t zerocopy_in_flight(const struct zerocopy *zerocopy)
{
    return zerocopy->next - zerocopy->oldest;
}

#endif
