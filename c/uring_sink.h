/*
 * uring_sink.h: what a ring has received goes on to the move's sink by the same ring: one writev(2)
 * at a time, of all that has come since the last. Where each piece lies is its owner's memory, who
 * gets it back when it is written.
 */
#ifndef ZC_URING_SINK_H
#define ZC_URING_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define URING_SINK_VECTORS 256

struct move;
struct uring;

struct uring_sink {
    struct move *move;
    struct uring *ring;
    uint64_t data; /* of its completions */
    /* Of a piece that is written. 0, or -errno from job_fail. */
    int (*release)(void *owner, uint64_t tag);
    void *owner;
    struct uring_piece {
        char *data;
        size_t size; /* bytes left to write */
        uint64_t tag;
    } * pieces;        /* a queue */
    uint32_t capacity; /* a power of two */
    uint32_t head, tail;
    int64_t offset; /* in the file, of the next write; -1: a stream */
    bool is_writing;
    bool is_waiting; /* until it can be written to */
    struct iovec vectors[URING_SINK_VECTORS];
};

/* The fields up to `owner` are the caller's to set. A ring needs one submission for it. -ENOMEM. */
int uring_sink_open(struct uring_sink *sink);
/* Also of one that was never opened, all zeros. */
void uring_sink_close(struct uring_sink *sink);

/* The next bytes of the stream: planned (move_plan), and taken into the digest. What /dev/null gets
 * is given back at once. 0, or -errno from job_fail. */
int uring_sink_put(struct uring_sink *sink, char *data, size_t size, uint64_t tag);

/* Queues the next write, unless one is under way. */
void uring_sink_write(struct uring_sink *sink);

/* A completion with `data`. Returns 0, or -errno from job_fail. */
int uring_sink_take(struct uring_sink *sink, int32_t result);

static inline bool uring_sink_is_empty(const struct uring_sink *sink)
{
    return sink->head == sink->tail;
}

#endif
