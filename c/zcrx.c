/*
 * zcrx.c: the mover that receives by io_uring's zero-copy receive: a network card puts payload
 * straight into an area of ours, and each completion lends us a piece of it, until we give that
 * back (Documentation/networking/iou-zcrx.rst). Without a card's queue the kernel copies into the
 * area: all of the interface, no saving.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "move.h"
#include "uring.h"
#include "uring_sink.h"
#include "zcrx_queue.h"

#define AREAS_MAX 8
#define AREA_SIZE_MAX (UINT64_C(256) << 20)
#define HUGE_PAGE (UINT64_C(2) << 20)
#define COMPLETIONS 4096
/* Bytes that one request may bring, where that has to be limited. */
#define REQUEST_MAX (1u << 30)
/* A queue that was let go of just now is still bound for a moment. */
#define BUSY_NS 2000000000
#define BUSY_PAUSE_MS 20
#define STARVED_PAUSE_MS 1
#define OWED_MIN 1024

/* What a completion is of: its data. */
enum kind { RECEIVING, WRITING };

struct receiver {
    struct move *move;
    struct uring ring;
    struct uring_sink sink;
    struct zcrx_queue queue;
    struct zcrx_area areas[AREAS_MAX]; /* by number */
    unsigned area_count;
    uint64_t *owed; /* pieces to give back, for which there was no room */
    uint32_t owed_count, owed_max;
    int end;             /* ZC_END_, once nothing more is to be received */
    bool is_armed;       /* a request is under way */
    bool is_limited;     /* to bytes, a rate or a time: a request brings no more than it may */
    bool is_starved;     /* all pieces were lent */
    uint32_t wanted;     /* bytes that a limited request still may bring */
    uint64_t lent;       /* pieces, so far */
    uint64_t starved_at; /* given back, when it starved */
    uint32_t flush_at;   /* given back and not taken yet, to tell of it */
    uint64_t received;   /* bytes */
};

static mover receive;
static int receiver_open(struct receiver *receiver);
static int open_queue(struct receiver *receiver);
static void receiver_close(struct receiver *receiver);
static bool add_area(struct receiver *receiver);
static int map_area(struct zcrx_area *area, uint64_t size);
static int receive_all(struct receiver *receiver);
static int arm(struct receiver *receiver);
static int take_lent(struct receiver *receiver, const struct uring_completion *completion);
static int end_request(struct receiver *receiver, int result);
static int give_back(struct receiver *receiver);
static int release(void *owner, uint64_t offset);
static int finish(struct receiver *receiver);
static void count(struct receiver *receiver);

/* The ring waits for what is not there yet, unless the descriptor says not to. */
int zcrx_run(struct move *move)
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
    receiver->is_limited =
        options->limit != UINT64_MAX || options->rate > 0 || options->duration > 0;
    struct uring_options ring = {.entries = 4, .completions = COMPLETIONS, .wide = true};
    int error = uring_open(&receiver->ring, &ring);
    if (error == 0 && !uring_has(&receiver->ring, URING_RECV_ZC))
        error = -EOPNOTSUPP;
    if (error == 0)
        error = map_area(&receiver->areas[0], options->depth * options->chunk);
    if (error == 0)
        error = open_queue(receiver);
    if (error < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    receiver->area_count = 1;
    uint64_t pages = receiver->areas[0].size / (uint64_t)sysconf(_SC_PAGESIZE);
    receiver->flush_at = (uint32_t)(pages / 4);
    receiver->sink = (struct uring_sink){.move = move,
                                         .ring = &receiver->ring,
                                         .data = WRITING,
                                         .release = release,
                                         .owner = receiver};
    if (uring_sink_open(&receiver->sink) < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, -ENOMEM);
    return 0;
}

static int open_queue(struct receiver *receiver)
{
    struct job *job = &receiver->move->job;
    struct zcrx_queue_options options = {
        .interface = receiver->move->options.interface,
        .queue = receiver->move->options.queue,
        .area = receiver->areas[0],
    };
    int64_t deadline = job_now() + BUSY_NS;
    for (;;) {
        int error = zcrx_queue_open(&receiver->queue, &receiver->ring, &options);
        if (error != -EEXIST || job_now() > deadline)
            return error;
        zcrx_queue_close(&receiver->queue);
        error = job_poll(job, -1, 0, BUSY_PAUSE_MS);
        if (error < 0)
            return error;
    }
}

/* The kernel has pinned the areas, and lets go of them in its own time. */
static void receiver_close(struct receiver *receiver)
{
    bool is_done = uring_close(&receiver->ring);
    zcrx_queue_close(&receiver->queue);
    uring_sink_close(&receiver->sink);
    for (unsigned each = 0; each < AREAS_MAX; each++) {
        if (receiver->areas[each].memory && is_done)
            munmap(receiver->areas[each].memory, receiver->areas[each].size);
    }
    free(receiver->owed);
}

/* Of huge pages, where there are enough: a card, or the kernel, then has fewer to look up. */
static int map_area(struct zcrx_area *area, uint64_t size)
{
    if (size > AREA_SIZE_MAX)
        size = AREA_SIZE_MAX;
    area->size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    int protection = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
    area->memory = mmap(NULL, area->size, protection, kind | MAP_HUGETLB, -1, 0);
    if (area->memory == MAP_FAILED)
        area->memory = mmap(NULL, area->size, protection, kind, -1, 0);
    if (area->memory != MAP_FAILED)
        return 0;
    area->memory = NULL;
    return -ENOMEM;
}

/* Another one, where that can be had: false, and pieces have to come back first. */
static bool add_area(struct receiver *receiver)
{
    struct zcrx_area *area = &receiver->areas[receiver->area_count % AREAS_MAX];
    if (receiver->area_count == AREAS_MAX || !receiver->queue.can_add)
        return false;
    if (map_area(area, receiver->areas[0].size) < 0)
        return false;
    if (zcrx_queue_add(&receiver->queue, area) == 0) {
        receiver->area_count++;
        return true;
    }
    munmap(area->memory, area->size);
    area->memory = NULL;
    receiver->queue.can_add = false;
    return false;
}

static int receive_all(struct receiver *receiver)
{
    struct move *move = receiver->move;
    for (;;) {
        int error = give_back(receiver);
        if (error == 0)
            error = arm(receiver);
        if (error < 0)
            return error;
        uring_sink_write(&receiver->sink);
        if (receiver->end != 0 && uring_sink_is_empty(&receiver->sink))
            return finish(receiver);
        error = uring_submit(&receiver->ring, &move->job, 1);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
        struct uring_completion completion;
        while (error == 0 && uring_take(&receiver->ring, &completion))
            error = completion.data == WRITING ? uring_sink_take(&receiver->sink, completion.result)
                                               : take_lent(receiver, &completion);
        if (error < 0)
            return error;
        count(receiver);
    }
}

/* Begins to receive, unless that is under way, or has nothing to lend. */
static int arm(struct receiver *receiver)
{
    struct move *move = receiver->move;
    if (receiver->end != 0 || receiver->is_starved || (receiver->is_limited && receiver->is_armed))
        return 0;
    int64_t quota = move_quota(move, REQUEST_MAX);
    if (quota < 0)
        return (int)quota;
    if (quota == 0)
        receiver->end = ZC_END_LIMIT;
    if (quota == 0 || receiver->is_armed)
        return 0;
    struct uring_sqe *sqe =
        uring_prepare(&receiver->ring, URING_RECV_ZC, move->options.source, RECEIVING);
    sqe->priority = URING_MULTISHOT;
    sqe->queue = receiver->queue.id;
    receiver->wanted = receiver->is_limited ? (uint32_t)quota : 0;
    sqe->length = receiver->wanted;
    receiver->is_armed = true;
    return 0;
}

static int take_lent(struct receiver *receiver, const struct uring_completion *completion)
{
    receiver->is_armed = completion->flags & URING_MORE;
    if (completion->result <= 0)
        return end_request(receiver, completion->result);
    size_t size = (size_t)completion->result;
    uint64_t number = completion->offset >> ZCRX_AREA_SHIFT;
    uint64_t at = completion->offset & ((UINT64_C(1) << ZCRX_AREA_SHIFT) - 1);
    const struct zcrx_area *area = &receiver->areas[number % AREAS_MAX];
    if (number >= receiver->area_count || at > area->size || size > area->size - at)
        return job_fail(&receiver->move->job, ZC_SIDE_SOURCE, -EPROTO);
    receiver->lent++;
    receiver->received += size;
    receiver->wanted -= receiver->is_limited ? (uint32_t)size : 0;
    return uring_sink_put(&receiver->sink, area->memory + at, size, completion->offset);
}

static int end_request(struct receiver *receiver, int result)
{
    switch (result) {
    case 0:
        if (!receiver->is_limited || receiver->wanted > 0)
            receiver->end = ZC_END_EOF;
        return 0;
    case -ENOMEM:
        receiver->is_starved = !add_area(receiver);
        receiver->starved_at = receiver->queue.given;
        return 0;
    case -ENOSPC: /* more completions than the queue has room for */
    case -EINTR:
    case -EAGAIN:
        return 0;
    default:
        return job_fail(&receiver->move->job, ZC_SIDE_SOURCE, result);
    }
}

/* --- giving back */

static int release(void *owner, uint64_t offset)
{
    struct receiver *receiver = owner;
    if (receiver->owed_count == receiver->owed_max) {
        uint32_t max = receiver->owed_max * 2 + OWED_MIN;
        uint64_t *owed = realloc(receiver->owed, max * sizeof(*owed));
        if (!owed)
            return job_fail(&receiver->move->job, ZC_SIDE_SINK, -ENOMEM);
        receiver->owed = owed;
        receiver->owed_max = max;
    }
    receiver->owed[receiver->owed_count++] = offset;
    return 0;
}

/*
 * A card takes what is given back when it needs it. Without one the kernel has to be told to, from
 * time to time: before everything is lent.
 */
static int give_back(struct receiver *receiver)
{
    struct zcrx_queue *queue = &receiver->queue;
    while (receiver->owed_count > 0 &&
           zcrx_queue_refill(queue, receiver->owed[receiver->owed_count - 1]))
        receiver->owed_count--;
    uint32_t pending = zcrx_queue_pending(queue);
    bool has_room = pending < receiver->flush_at && receiver->owed_count == 0;
    bool is_told = false;
    if (pending > 0 && queue->can_flush && (receiver->is_starved || !has_room)) {
        int error = zcrx_queue_flush(queue);
        if (error < 0)
            return job_fail(&receiver->move->job, ZC_SIDE_SOURCE, error);
        is_told = true;
    }
    if (is_told || queue->given != receiver->starved_at)
        receiver->is_starved = false;
    /* Others hold all of it, a card's own ring: it comes back by itself. */
    if (!receiver->is_starved || receiver->lent > queue->given)
        return 0;
    receiver->is_starved = false;
    return job_poll(&receiver->move->job, -1, 0, STARVED_PAUSE_MS);
}

/* All that was lent goes back. */
static int finish(struct receiver *receiver)
{
    receiver->flush_at = 0;
    int error = give_back(receiver);
    count(receiver);
    return error < 0 ? error : receiver->end;
}

static void count(struct receiver *receiver)
{
    struct zc_stats *stats = &receiver->move->job.stats;
    const struct zcrx_queue *queue = &receiver->queue;
    stat_set(&stats->lent, receiver->lent);
    stat_set(&stats->returned, queue->given - zcrx_queue_pending(queue));
    /*
     * Without a card all of it is copied, though 7.3.4 counts some bytes too few when it runs out
     * of pieces in the midst of a packet.
     */
    if (receiver->move->options.interface == 0)
        return;
    if (!queue->copied) {
        stat_set(&stats->untold, receiver->received);
        return;
    }
    /* What was copied may still be on its way to us. */
    uint64_t copied = __atomic_load_n(queue->copied, __ATOMIC_RELAXED);
    stat_set(&stats->uncopied, receiver->received > copied ? receiver->received - copied : 0);
}
