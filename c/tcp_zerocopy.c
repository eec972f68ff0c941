/*
 * tcp_zerocopy.c: the mover that maps what a TCP socket has received: getsockopt(2) with
 * TCP_ZEROCOPY_RECEIVE, which is described nowhere but in include/uapi/linux/tcp.h and
 * net/ipv4/tcp.c. The kernel maps whole pages that the stream fills on its own; what lies between
 * them is read as ever.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "digest.h"
#include "move.h"

/* linux/tcp.h; C libraries' headers know less of it, or nothing. */
#define ZEROCOPY_RECEIVE 35
/* The range is not mapped now: the kernel need not see to that first. */
#define TLB_CLEAN_HINT 1

/* include/uapi/linux/tcp.h, struct tcp_zerocopy_receive, 5.12 */
struct zerocopy_receive {
    uint64_t address;
    uint32_t length;         /* in: to be mapped at most; out: mapped */
    uint32_t recv_skip_hint; /* out: to be read before anything can be mapped again */
    uint32_t inq;
    int32_t error; /* out: SO_ERROR as -errno, which this takes away */
    uint64_t copybuf_address;
    int32_t copybuf_len; /* in: at most; out: copied there, behind what is mapped */
    uint32_t flags;
    uint64_t msg_control, msg_controllen;
    uint32_t msg_flags, reserved;
};

_Static_assert(sizeof(struct zerocopy_receive) == 64, "struct tcp_zerocopy_receive");

/* How long bytes may lie in the socket until there are enough of them for a whole batch. */
#define BATCH_MS 5
/* And how many are enough, whatever a batch is: the socket's buffer grows to twice of it. */
#define MARK_MAX (4u << 20)
/* Whether mapping pays is judged by so many bytes: one of so many at least must have been mapped.
 */
#define TRIAL_SIZE (1u << 20)
#define TRIAL_SHARE 8
/* Where it does not, so much is copied before the next trial, and then twice as much. */
#define REST_MIN (UINT64_C(16) << 20)
#define REST_MAX (UINT64_C(256) << 20)

struct receiver {
    struct move *move;
    size_t page;
    char *window; /* of the socket; NULL where chunks are smaller than a page */
    size_t window_size;
    char *buffer; /* `chunk` bytes: what was copied */
    int mark;     /* SO_RCVLOWAT, as it is now and as it was */
    int mark_before;
    bool streams;           /* the last round found a page or more: wait for a whole batch */
    bool breaks;            /* the last round's batch was broken off: by what fills no page */
    int error;              /* -errno that came along with bytes; or 0 */
    uint64_t tried, mapped; /* bytes of this trial */
    bool rests;             /* the last one did not pay: copy `rest` bytes */
    uint64_t rest;          /* 0: it paid */
};

/* What one round took out of the socket: in this order. */
struct taken {
    size_t mapped; /* in the window */
    size_t copied; /* in the buffer */
    bool is_last;
};

static int receiver_open(struct receiver *receiver);
static void receiver_close(struct receiver *receiver);
static int refusal(int error);
static int receive_all(struct receiver *receiver);
static int receive_round(struct receiver *receiver, size_t quota);
static int await_batch(struct receiver *receiver, size_t size);
static void set_mark(struct receiver *receiver, int mark);
static int take(struct receiver *receiver, size_t quota, struct taken *taken);
static int map_pages(struct receiver *receiver, size_t quota, struct taken *taken, size_t *hint);
static int read_rest(struct receiver *receiver, size_t size, struct taken *taken);
static int give(struct receiver *receiver, const struct taken *taken);
static void judge(struct receiver *receiver, const struct taken *taken);

int tcp_zerocopy_run(struct move *move)
{
    struct receiver receiver = {.move = move};
    int end = receiver_open(&receiver);
    if (end == 0)
        end = receive_all(&receiver);
    receiver_close(&receiver);
    return end;
}

static int receiver_open(struct receiver *receiver)
{
    struct move *move = receiver->move;
    int source = move->options.source;
    size_t chunk = move->options.chunk;
    if (!move_source_is_tcp(move))
        return job_fail(&move->job, ZC_SIDE_SOURCE, -EOPNOTSUPP);
    socklen_t length = sizeof(receiver->mark);
    if (getsockopt(source, SOL_SOCKET, SO_RCVLOWAT, &receiver->mark, &length) < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    receiver->mark_before = receiver->mark;
    receiver->page = (size_t)sysconf(_SC_PAGESIZE);
    receiver->window_size = (chunk + receiver->page - 1) / receiver->page * receiver->page;
    void *window = mmap(NULL, receiver->window_size, PROT_READ, MAP_SHARED, source, 0);
    if (window == MAP_FAILED)
        return job_fail(&move->job, ZC_SIDE_SOURCE, refusal(-errno));
    receiver->window = window;
    receiver->buffer = move_buffer(chunk);
    return receiver->buffer ? 0 : job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
}

static void receiver_close(struct receiver *receiver)
{
    if (receiver->buffer)
        munmap(receiver->buffer, receiver->move->options.chunk);
    if (!receiver->window)
        return;
    munmap(receiver->window, receiver->window_size);
    set_mark(receiver, receiver->mark_before);
}

/* What a kernel without this says is one thing to whoever asked for it. */
static int refusal(int error)
{
    return error == -ENODEV || error == -ENOPROTOOPT ? -EOPNOTSUPP : error;
}

static int receive_all(struct receiver *receiver)
{
    struct move *move = receiver->move;
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        int end = receive_round(receiver, (size_t)quota);
        if (end == ZC_END_NONE && receiver->rests) {
            receiver->rests = false;
            set_mark(receiver, 1);
            end = copy_span(move, receiver->buffer, receiver->rest);
        }
        /* The error that came along with the last bytes left nothing but an end behind. */
        if (end == ZC_END_EOF && receiver->error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, receiver->error);
        if (end != ZC_END_NONE)
            return end;
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

/* Returns ZC_END_NONE, ZC_END_EOF, or -errno. */
static int receive_round(struct receiver *receiver, size_t quota)
{
    struct taken taken = {0};
    int error = await_batch(receiver, quota);
    if (error == 0)
        error = take(receiver, quota, &taken);
    if (error == 0)
        error = give(receiver, &taken);
    if (error < 0)
        return error;
    judge(receiver, &taken);
    return taken.is_last ? ZC_END_EOF : ZC_END_NONE;
}

/*
 * Where bytes come in quick succession, few calls map many pages: waits for all of `size`, but not
 * for long. Else for the first byte.
 */
static int await_batch(struct receiver *receiver, size_t size)
{
    struct move *move = receiver->move;
    if (!receiver->streams) {
        set_mark(receiver, 1);
        return move_wait_source(move);
    }
    set_mark(receiver, size < MARK_MAX ? (int)size : (int)MARK_MAX);
    int ready = job_poll(&move->job, move->options.source, POLLIN, BATCH_MS);
    return ready < 0 ? job_fail(&move->job, ZC_SIDE_SOURCE, ready) : 0;
}

static void set_mark(struct receiver *receiver, int mark)
{
    if (mark == receiver->mark)
        return;
    setsockopt(receiver->move->options.source, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
    receiver->mark = mark;
}

/* Takes what there is, `quota` bytes at most. Nothing is no failure. Returns 0, or -errno. */
static int take(struct receiver *receiver, size_t quota, struct taken *taken)
{
    size_t hint = 0;
    int error = quota < receiver->page ? 0 : map_pages(receiver, quota, taken, &hint);
    if (error < 0)
        return error;
    size_t left = quota - taken->mapped - taken->copied;
    /* Neither taken, nor to be read: an end perhaps, or bytes that cannot even be looked at. */
    if (hint == 0 && taken->mapped + taken->copied == 0)
        hint = left;
    return hint == 0 ? 0 : read_rest(receiver, hint < left ? hint : left, taken);
}

static int map_pages(struct receiver *receiver, size_t quota, struct taken *taken, size_t *hint)
{
    struct move *move = receiver->move;
    size_t page = receiver->page;
    /*
     * The kernel fills the copy buffer from behind the last page that it maps: out of the midst of
     * a page, where that was only the last one of the batch.
     */
    size_t copied_max = receiver->breaks && quota >= 2 * page ? page - 1 : 0;
    struct zerocopy_receive receive = {
        .address = (uintptr_t)receiver->window,
        .length = (uint32_t)((quota - copied_max) / page * page),
        .copybuf_address = (uintptr_t)receiver->buffer,
        .copybuf_len = (int32_t)copied_max,
        .flags = TLB_CLEAN_HINT,
    };
    uint32_t asked = receive.length;
    socklen_t length = sizeof(receive);
    if (getsockopt(move->options.source, IPPROTO_TCP, ZEROCOPY_RECEIVE, &receive, &length) < 0) {
        /* EIO is the end, says read(2); and what cannot be mapped any more can be read. */
        if (errno == EIO || move->job.stats.bytes > 0)
            return 0;
        return job_fail(&move->job, ZC_SIDE_SOURCE, refusal(-errno));
    }
    taken->mapped = receive.length;
    taken->copied = receive.copybuf_len > 0 ? (size_t)receive.copybuf_len : 0;
    *hint = receive.recv_skip_hint;
    receiver->breaks = taken->mapped > 0 && taken->mapped < asked && taken->copied + *hint > 0;
    if (receive.error != 0)
        receiver->error = receive.error;
    return 0;
}

static int read_rest(struct receiver *receiver, size_t size, struct taken *taken)
{
    struct move *move = receiver->move;
    char *buffer = receiver->buffer + taken->copied;
    ssize_t got = recv(move->options.source, buffer, size, MSG_DONTWAIT);
    if (got >= 0)
        taken->copied += (size_t)got;
    else if (errno != EAGAIN && errno != EINTR)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    taken->is_last = got == 0;
    return 0;
}

/* To the sink; then the pages are the kernel's again. */
static int give(struct receiver *receiver, const struct taken *taken)
{
    struct move *move = receiver->move;
    if (move->digest && taken->mapped > 0)
        digest_update(move->digest, receiver->window, taken->mapped);
    if (move->digest && taken->copied > 0)
        digest_update(move->digest, receiver->buffer, taken->copied);
    int error = move_write(move, receiver->window, taken->mapped);
    if (error < 0)
        return error;
    stat_add(&move->job.stats.uncopied, taken->mapped);
    if (taken->mapped > 0)
        madvise(receiver->window, taken->mapped, MADV_DONTNEED);
    return move_write(move, receiver->buffer, taken->copied);
}

static void judge(struct receiver *receiver, const struct taken *taken)
{
    receiver->streams = taken->mapped + taken->copied >= receiver->page;
    receiver->tried += taken->mapped + taken->copied;
    receiver->mapped += taken->mapped;
    if (receiver->tried < TRIAL_SIZE)
        return;
    bool pays = receiver->mapped >= receiver->tried / TRIAL_SHARE;
    uint64_t rest = receiver->rest == 0 ? REST_MIN : receiver->rest * 2;
    receiver->rest = pays ? 0 : rest < REST_MAX ? rest : REST_MAX;
    receiver->rests = !pays;
    receiver->tried = receiver->mapped = 0;
}
