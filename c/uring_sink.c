/* uring_sink.c: a queue of pieces, written in their order. */
#include "uring_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "digest.h"
#include "move.h"
#include "uring.h"

#define CAPACITY_MIN 256

static int grow(struct uring_sink *sink);
static struct uring_piece *piece_at(struct uring_sink *sink, uint32_t position);
static int give_back(struct uring_sink *sink, size_t bytes);

/*
 * Writes to a file say where: one that goes wrong after a part of it was written moves the file's
 * own position for nothing of it (6.18), and the next would write over that.
 */
int uring_sink_open(struct uring_sink *sink)
{
    sink->offset = lseek(sink->move->options.sink, 0, SEEK_CUR);
    return grow(sink);
}

void uring_sink_close(struct uring_sink *sink)
{
    if (!sink->pieces)
        return;
    if (sink->offset >= 0) /* as after write(2) */
        lseek(sink->move->options.sink, sink->offset, SEEK_SET);
    free(sink->pieces);
}

int uring_sink_put(struct uring_sink *sink, char *data, size_t size, uint64_t tag)
{
    struct move *move = sink->move;
    if (sink->tail - sink->head == sink->capacity && grow(sink) < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, -ENOMEM);
    if (move->digest)
        digest_update(move->digest, data, size);
    move_plan(move, (int64_t)size);
    *piece_at(sink, sink->tail++) = (struct uring_piece){.data = data, .size = size, .tag = tag};
    return move->sink_is_null ? give_back(sink, size) : 0;
}

/* Doubles the queue. While a write is under way its vectors say where its pieces lie. */
static int grow(struct uring_sink *sink)
{
    uint32_t count = sink->tail - sink->head;
    uint32_t capacity = sink->capacity > 0 ? 2 * sink->capacity : CAPACITY_MIN;
    struct uring_piece *pieces = malloc(capacity * sizeof(*pieces));
    if (!pieces)
        return -ENOMEM;
    for (uint32_t each = 0; each < count; each++)
        pieces[each] = *piece_at(sink, sink->head + each);
    free(sink->pieces);
    sink->pieces = pieces;
    sink->capacity = capacity;
    sink->head = 0;
    sink->tail = count;
    return 0;
}

static struct uring_piece *piece_at(struct uring_sink *sink, uint32_t position)
{
    return &sink->pieces[position & (sink->capacity - 1)];
}

void uring_sink_write(struct uring_sink *sink)
{
    if (sink->is_writing || uring_sink_is_empty(sink))
        return;
    uint32_t count = 0;
    for (; count < URING_SINK_VECTORS && sink->head + count != sink->tail; count++) {
        const struct uring_piece *piece = piece_at(sink, sink->head + count);
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
    return give_back(sink, (size_t)result);
}

/* The oldest `bytes` are written. */
static int give_back(struct uring_sink *sink, size_t bytes)
{
    int error = 0;
    move_count(sink->move, bytes);
    while (bytes > 0 && error == 0) {
        struct uring_piece *piece = piece_at(sink, sink->head);
        size_t step = bytes < piece->size ? bytes : piece->size;
        piece->data += step;
        piece->size -= step;
        bytes -= step;
        if (piece->size > 0)
            break;
        sink->head++;
        error = sink->release(sink->owner, piece->tag);
    }
    return error;
}
