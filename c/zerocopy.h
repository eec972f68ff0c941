/*
 * zerocopy.h: sends with MSG_ZEROCOPY, and the error queue that says when the kernel has let go
 * (Documentation/networking/msg_zerocopy.rst). It keeps the books: which send used which buffer.
 */
#ifndef ZC_ZEROCOPY_H
#define ZC_ZEROCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "zc.h"

/* Sends in flight at most; a power of two, far above what option memory allows (optmem_max). */
#define ZEROCOPY_IDS_MAX 4096
/* Buffers, numbered from 0. */
#define ZEROCOPY_BUFFERS_MAX 256

struct zerocopy {
    struct zc_stats *stats;
    int fd;
    uint32_t oldest;                      /* of the ids in flight; ids wrap at 2^32 */
    uint32_t next;                        /* id of the next send */
    uint16_t buffer_of[ZEROCOPY_IDS_MAX]; /* by id modulo ZEROCOPY_IDS_MAX, or BUFFER_RELEASED */
    uint32_t in_flight[ZEROCOPY_BUFFERS_MAX]; /* sends that still hold this buffer */
};

/*
 * Turns SO_ZEROCOPY on. -EOPNOTSUPP: this kind of socket has none; -EBUSY: somebody else has
 * turned it on before, and counts ids that we do not know.
 */
int zerocopy_open(struct zerocopy *zerocopy, int fd, struct zc_stats *stats);

/*
 * One send(2) with MSG_ZEROCOPY | MSG_DONTWAIT from `buffer`. Returns the bytes taken, -EAGAIN when
 * the socket is full, -ENOBUFS when too much is in flight, or the send's -errno.
 */
ssize_t zerocopy_send(struct zerocopy *zerocopy, unsigned buffer, const void *data, size_t size);

/* Reads the error queue until it is empty. Returns the notifications read, or -errno. */
int zerocopy_drain(struct zerocopy *zerocopy);

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
    return zerocopy->in_flight[buffer] == 0;
}

#endif
