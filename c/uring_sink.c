/* uring_sink.c: a queue of pieces, written in their order. */
#include "uring_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "digest.h"
#include "move.h"
#include "uring.h"

static void give_back(struct uring_sink *sink, size_t bytes);

/*
 * Writes to a file say where: one that goes wrong after a part of it was written moves the file's
 * own position for nothing of it (6.18), and the next would write over that.
 */
int uring_sink_open(struct uring_sink *sink, uint32_t capacity)
{
    sink->offset = lseek(sink->move->options.sink, 0, SEEK_CUR);
    sink->pieces = calloc(capacity, sizeof(*sink->pieces));
    sink->mask = capacity - 1;
    return sink->pieces ? 0 : -ENOMEM;
}

void uring_sink_close(struct uring_sink *sink)
{
    if (!sink->pieces)
        return;
    if (sink->offset >= 0) /* as after write(2) */
        lseek(sink->move->options.sink, sink->offset, SEEK_SET);
    free(sink->pieces);
}

void uring_sink_put(struct uring_sink *sink, char *data, size_t size, uint64_t tag)
{
    struct move *move = sink->move;
    if (move->digest)
        digest_update(move->digest, data, size);
    move_plan(move, (int64_t)size);
    sink->pieces[sink->tail++ & sink->mask] =
        (struct uring_piece){.data = data, .size = size, .tag = tag};
    if (move->sink_is_null)
        give_back(sink, size);
}

void uring_sink_write(struct uring_sink *sink)
{
    if (sink->is_writing || uring_sink_is_empty(sink))
        return;
    uint32_t count = 0;
    for (; count < URING_SINK_VECTORS && sink->head + count != sink->tail; count++) {
        const struct uring_piece *piece = &sink->pieces[(sink->head + count) & sink->mask];
        sink->vectors[count] = (struct iovec){.iov_base = piece->data, .iov_len = piece->size};
    }
    struct uring_sqe *sqe =
        uring_prepare(sink->ring, URING_WRITEV, sink->move->options.sink, sink->data);
    sqe->address = (uintptr_t)sink->vectors;
    sqe->length = count;
    sqe->offset = (uint64_t)sink->offset;
    sink->is_writing = true;
}

int uring_sink_take(struct uring_sink *sink, int32_t result)
{
    struct move *move = sink->move;
    bool was_waiting = sink->is_waiting;
    sink->is_waiting = false;
    sink->is_writing = false;
    if (result == -EAGAIN && !was_waiting) { /* it is non-blocking */
        struct uring_sqe *sqe =
            uring_prepare(sink->ring, URING_POLL_ADD, move->options.sink, sink->data);
        sqe->operation_flags = POLLOUT;
        sink->is_waiting = sink->is_writing = true;
        return 0;
    }
    if (was_waiting || result == -EINTR)
        return result == -EINTR || result >= 0 ? 0 : job_fail(&move->job, ZC_SIDE_SINK, result);
    if (result <= 0)
        return job_fail(&move->job, ZC_SIDE_SINK, result < 0 ? result : -EIO);
    if (sink->offset >= 0)
        sink->offset += result;
    give_back(sink, (size_t)result);
    return 0;
}

/* The oldest `bytes` are written. */
static void give_back(struct uring_sink *sink, size_t bytes)
{
    move_count(sink->move, bytes);
    while (bytes > 0) {
        struct uring_piece *piece = &sink->pieces[sink->head & sink->mask];
        size_t step = bytes < piece->size ? bytes : piece->size;
        piece->data += step;
        piece->size -= step;
        bytes -= step;
        if (piece->size > 0)
            return;
        sink->head++;
        sink->release(sink->owner, piece->tag);
    }
}
