/*
 * io_uring_receive.c: the mover that receives by io_uring(7): one request that goes on and on
 * (multishot), into buffers that the kernel picks from a ring of those we have provided, and takes
 * several of at once (bundles). What is in them is written by the same ring, and they are provided
 * again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "move.h"
#include "uring.h"
#include "uring_sink.h"

#define BUFFERS_MAX 256
#define GROUP 0

/* What a completion is of: its data. */
enum kind { RECEIVING, WRITING };

struct receiver {
    struct move *move;
    struct uring ring;
    struct uring_sink sink;
    struct uring_group group;
    uint64_t size;               /* bytes a buffer */
    char *memory;                /* of all buffers */
    uint32_t count;              /* buffers; a power of two */
    uint16_t order[BUFFERS_MAX]; /* as they were provided: so the kernel takes them */
    uint32_t taken, provided;    /* of these, so far */
    int end;                     /* ZC_END_, once nothing more is to be received */
    bool is_armed;               /* a receive is under way */
    uint16_t going_on;           /* what this kernel has of multishot and bundles */
    bool is_limited;  /* to bytes, a rate or a time: then each receive takes no more than it may */
    bool waits_first; /* for the source, which somebody else made non-blocking again */
};

static mover receive;
static int receiver_open(struct receiver *receiver);
static void receiver_close(struct receiver *receiver);
static int receive_all(struct receiver *receiver);
static int arm(struct receiver *receiver);
static int take_received(struct receiver *receiver, const struct uring_completion *completion);
static int put(struct receiver *receiver, size_t bytes);
static int provide(void *owner, uint64_t buffer);

/* The ring waits for what is not there yet, unless the descriptor says not to. */
int io_uring_receive_run(struct move *move)
{
    return move_waiting(move, move->options.source, receive);
}

static int receive(struct move *move)
{
    struct receiver *receiver = calloc(1, sizeof(*receiver));
    if (!receiver)
        return job_fail(&move->job, ZC_SIDE_SINK, -ENOMEM);
    receiver->move = move;
    int end = receiver_open(receiver);
    if (end == 0)
        end = receive_all(receiver);
    receiver_close(receiver);
    free(receiver);
    return end;
}

static int receiver_open(struct receiver *receiver)
{
    struct move *move = receiver->move;
    const struct zc_move *options = &move->options;
    for (receiver->count = 2; receiver->count < options->depth;)
        receiver->count *= 2;
    receiver->size = options->chunk;
    receiver->is_limited =
        options->limit != UINT64_MAX || options->rate > 0 || options->duration > 0;
    struct uring_options ring = {.entries = 4, .completions = 2 * receiver->count};
    int error = uring_open(&receiver->ring, &ring);
    if (error == 0)
        error = uring_group_open(&receiver->group, &receiver->ring, GROUP, receiver->count);
    if (error < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    bool has_bundles = receiver->ring.features & URING_FEATURE_BUNDLE;
    receiver->going_on = URING_MULTISHOT | (has_bundles ? URING_BUNDLE : 0);
    receiver->sink = (struct uring_sink){.move = move,
                                         .ring = &receiver->ring,
                                         .data = WRITING,
                                         .release = provide,
                                         .owner = receiver};
    receiver->memory = move_buffer(receiver->count * receiver->size);
    if (!receiver->memory || uring_sink_open(&receiver->sink) < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, -ENOMEM);
    for (uint32_t each = 0; each < receiver->count; each++)
        provide(receiver, each);
    return 0;
}

static void receiver_close(struct receiver *receiver)
{
    bool is_done = uring_close(&receiver->ring);
    if (is_done)
        uring_group_close(&receiver->group);
    uring_sink_close(&receiver->sink);
    if (receiver->memory && is_done)
        munmap(receiver->memory, receiver->count * receiver->size);
}

static int receive_all(struct receiver *receiver)
{
    struct move *move = receiver->move;
    for (;;) {
        int error = arm(receiver);
        if (error < 0)
            return error;
        uring_sink_write(&receiver->sink);
        if (receiver->end != 0 && uring_sink_is_empty(&receiver->sink))
            return receiver->end;
        error = uring_submit(&receiver->ring, &move->job, 1);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
        struct uring_completion completion;
        while (error == 0 && uring_take(&receiver->ring, &completion))
            error = completion.data == WRITING ? uring_sink_take(&receiver->sink, completion.result)
                                               : take_received(receiver, &completion);
        if (error < 0)
            return error;
    }
}

/* Begins to receive, when there are buffers, and nothing is under way. */
static int arm(struct receiver *receiver)
{
    struct move *move = receiver->move;
    bool is_empty = receiver->taken == receiver->provided;
    if (receiver->end != 0 || (receiver->is_limited && (receiver->is_armed || is_empty)))
        return 0;
    int64_t quota = move_quota(move, receiver->size);
    if (quota < 0)
        return (int)quota;
    if (quota == 0)
        receiver->end = ZC_END_LIMIT;
    if (quota == 0 || receiver->is_armed || is_empty)
        return 0;
    struct uring_sqe *sqe =
        uring_prepare(&receiver->ring, URING_RECV, move->options.source, RECEIVING);
    sqe->flags = URING_BUFFER_SELECT;
    sqe->buffer = GROUP;
    sqe->priority = receiver->waits_first ? URING_POLL_FIRST : 0;
    if (receiver->is_limited)
        sqe->length = (uint32_t)quota;
    else
        sqe->priority |= receiver->going_on;
    receiver->is_armed = true;
    return 0;
}

static int take_received(struct receiver *receiver, const struct uring_completion *completion)
{
    int result = completion->result;
    receiver->is_armed = completion->flags & URING_MORE;
    receiver->waits_first = result == -EAGAIN;
    switch (result) {
    case 0:
        receiver->end = ZC_END_EOF;
        return 0;
    case -EAGAIN:
    case -EINTR:
    case -ENOBUFS: /* all buffers are full: it goes on when one is written */
        return 0;
    default:
        break;
    }
    if (result < 0)
        return job_fail(&receiver->move->job, ZC_SIDE_SOURCE, result);
    return put(receiver, (size_t)result);
}

/* So many bytes are in the buffers that were provided first. */
static int put(struct receiver *receiver, size_t bytes)
{
    int error = 0;
    while (bytes > 0 && error == 0) {
        uint32_t buffer = receiver->order[receiver->taken++ % BUFFERS_MAX];
        size_t size = bytes < receiver->size ? bytes : receiver->size;
        bytes -= size;
        char *data = receiver->memory + buffer * receiver->size;
        error = uring_sink_put(&receiver->sink, data, size, buffer);
    }
    return error;
}

static int provide(void *owner, uint64_t buffer)
{
    struct receiver *receiver = owner;
    char *data = receiver->memory + buffer * receiver->size;
    receiver->order[receiver->provided++ % BUFFERS_MAX] = (uint16_t)buffer;
    uring_group_add(&receiver->group, data, (uint32_t)receiver->size, (uint16_t)buffer);
    return 0;
}
