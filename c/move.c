/* move.c: starts a mover on its thread, and holds what all movers share. */
#include "move.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "digest.h"
#include "memory.h"

/* A hole is made of whole blocks: less than one could not be looked at. */
#define SPARSE_CHUNK_MIN 4096u
#define CHUNK_MAX (1u << 30)
#define DEPTH_MIN 2
#define DEPTH_MAX 256
/* After a pause, a limited rate may catch up on this much time at most. */
#define CATCH_UP_NS 50000000
/* With a limited rate, bytes a call are those of this much time. */
#define PACE_NS 20000000
#define DURATION_MAX (INT64_MAX / 2)
#define ANSWERS_AT_ONCE 256
#define DISCARD_SIZE 65536
#define DIGEST_READ_SIZE (256u << 10)

static mover *const movers[] = {
    [ZC_MOVER_COPY] = copy_run,
    [ZC_MOVER_SENDFILE] = sendfile_run,
    [ZC_MOVER_SPLICE] = splice_run,
    [ZC_MOVER_MSG_ZEROCOPY] = msg_zerocopy_run,
    [ZC_MOVER_IO_URING_SEND] = io_uring_send_run,
    [ZC_MOVER_TCP_ZEROCOPY] = tcp_zerocopy_run,
    [ZC_MOVER_IO_URING_RECEIVE] = io_uring_receive_run,
    [ZC_MOVER_ZCRX] = zcrx_run,
    [ZC_MOVER_DISCARD] = discard_run,
};

static int move_main(struct job *job);
static bool move_is_valid(const struct zc_move *options);
static bool is_socket(int fd);
static bool is_null(int fd);
static bool is_connection_error(int error);
static int64_t coarse_now(void);
static void note_time(struct zc_stats *stats);
static int64_t keep_rate(struct move *move, uint64_t wanted);
static int await_turn(struct move *move);
static int answer(struct move *move);
static int discard_inbound(struct move *move);

int64_t zc_move_start(const struct zc_move *options)
{
    if (!move_is_valid(options))
        return -EINVAL;
    struct move *move = calloc(1, sizeof(*move));
    if (!move)
        return -ENOMEM;
    move->options = *options;
    move->digest = (struct digest *)(intptr_t)options->digest;
    move->memory = (struct memory *)(intptr_t)options->memory;
    if (move->memory)
        move->options.source = memory_fd(move->memory);
    move->source_is_socket = is_socket(move->options.source);
    move->sink_is_socket = is_socket(options->sink);
    move->sink_is_null = is_null(options->sink);
    int64_t handle = job_start(&move->job, options->event_fd, move_main);
    if (handle < 0)
        free(move);
    return handle;
}

static int move_main(struct job *job)
{
    struct move *move = (struct move *)job;
    int error = move->memory ? memory_begin(move->memory, job) : 0;
    if (error < 0)
        return job_fail(job, ZC_SIDE_SOURCE, error);
    if (move->options.duration > 0)
        move->deadline = coarse_now() + (int64_t)move->options.duration;
    return movers[move->options.mover](move);
}

static bool move_is_valid(const struct zc_move *options)
{
    uint64_t chunk_min = options->flags & ZC_MOVE_SPARSE ? SPARSE_CHUNK_MIN : 1;
    const struct memory *memory = (const struct memory *)(intptr_t)options->memory;
    if (options->interval > 0 && !memory)
        return false;
    if (memory && options->chunk > memory_window_max(memory))
        return false;
    return options->mover < sizeof(movers) / sizeof(movers[0]) && movers[options->mover] &&
           options->chunk >= chunk_min && options->chunk <= CHUNK_MAX &&
           options->depth >= DEPTH_MIN && options->depth <= DEPTH_MAX &&
           options->rate <= INT64_MAX && options->duration <= DURATION_MAX &&
           options->interval <= DURATION_MAX;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t length = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
}

/* Documentation/admin-guide/devices.txt: 1, 3. */
static bool is_null(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3);
}

int64_t move_quota(struct move *move, uint64_t wanted)
{
    const struct zc_move *options = &move->options;
    int error = job_check(&move->job);
    if (error == 0 && options->request > 0)
        error = answer(move);
    if (error < 0)
        return error;
    uint64_t left = options->limit - move->job.stats.bytes - move->ahead;
    if (wanted > left)
        wanted = left;
    bool has_begun = move->job.stats.bytes + move->ahead > 0; /* however late that was */
    if (move->deadline != 0 && has_begun && coarse_now() >= move->deadline)
        wanted = 0;
    if (wanted == 0)
        return 0;
    if (options->interval > 0 && memory_is_between(move->memory))
        error = await_turn(move);
    if (error < 0)
        return error;
    if (move->memory) {
        uint64_t window = memory_window(move->memory, wanted);
        wanted = window < wanted ? window : wanted;
    }
    return options->rate == 0 ? (int64_t)wanted : keep_rate(move, wanted);
}

/* Waits until the rate allows the next call. Returns how many bytes that may have, or -ECANCELED.
 */
static int64_t keep_rate(struct move *move, uint64_t wanted)
{
    int64_t ahead = move->next_call - job_now();
    if (ahead > 0) {
        int error = job_poll(&move->job, -1, 0, (ahead + 999999) / 1000000);
        if (error < 0)
            return error;
    }
    uint64_t at_once = (uint64_t)((double)move->options.rate * PACE_NS / 1e9) + 1;
    return (int64_t)(wanted < at_once ? wanted : at_once);
}

/* Window n of the memory is due at its time, however long the ones before it took. */
static int await_turn(struct move *move)
{
    uint64_t due = move->windows++ * move->options.interval;
    return job_wait_until(&move->job, move->options.start_ns + (int64_t)due);
}

/* A byte for each request that is through. */
static int answer(struct move *move)
{
    static const char bytes[ANSWERS_AT_ONCE];
    for (;;) {
        uint64_t due = move->job.stats.bytes / move->options.request - move->answered;
        if (due == 0)
            return 0;
        size_t size = due < sizeof(bytes) ? (size_t)due : sizeof(bytes);
        ssize_t put = write(move->options.answer, bytes, size);
        int error = 0;
        if (put >= 0)
            move->answered += (uint64_t)put;
        else if (errno == EAGAIN)
            error = job_poll(&move->job, move->options.answer, POLLOUT, -1);
        else
            error = errno == EINTR ? job_check(&move->job) : -errno;
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    }
}

/* Of what arrives: how long it took is not how long its end, or its begin, was waited for. */
static void note_time(struct zc_stats *stats)
{
    int64_t now = job_now();
    if (stats->calls == 0)
        __atomic_store_n(&stats->first_ns, now, __ATOMIC_RELAXED);
    __atomic_store_n(&stats->last_ns, now, __ATOMIC_RELAXED);
}

void move_plan(struct move *move, int64_t bytes)
{
    move->ahead += (uint64_t)bytes;
    if (move->memory)
        memory_took(move->memory, (uint64_t)bytes);
}

void move_count(struct move *move, uint64_t bytes)
{
    if (move->source_is_socket)
        note_time(&move->job.stats);
    stat_add(&move->job.stats.bytes, bytes);
    stat_add(&move->job.stats.calls, 1);
    if (move->ahead > 0)
        move->ahead -= bytes;
    else if (move->memory)
        memory_took(move->memory, bytes);
    if (move->options.rate == 0)
        return;
    int64_t earliest = job_now() - CATCH_UP_NS;
    if (move->next_call < earliest)
        move->next_call = earliest;
    move->next_call += (int64_t)((double)bytes * 1e9 / (double)move->options.rate);
}

/* Some milliseconds behind the clock, and a tenth of its price, which small calls would feel. */
static int64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

int move_fail(struct move *move, int error)
{
    if (error == -ECANCELED)
        return error;
    uint64_t side = ZC_SIDE_SOURCE;
    if (error == -EPIPE || error == -ENOSPC || error == -EDQUOT || error == -EFBIG)
        side = ZC_SIDE_SINK;
    else if (is_connection_error(-error) && move->sink_is_socket)
        side = ZC_SIDE_SINK;
    return job_fail(&move->job, side, error);
}

static bool is_connection_error(int error)
{
    switch (error) {
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ETIMEDOUT:
    case ENOTCONN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
        return true;
    default:
        return false;
    }
}

int move_wait_source(struct move *move)
{
    int ready = job_poll(&move->job, move->options.source, POLLIN, -1);
    return ready < 0 ? job_fail(&move->job, ZC_SIDE_SOURCE, ready) : 0;
}

int move_wait_sink(struct move *move, short events)
{
    int sink = move->options.sink;
    for (;;) {
        bool listen_to_peer = move->sink_is_socket && !move->peer_finished;
        short wanted = listen_to_peer ? (short)(events | POLLIN) : events;
        int ready = job_poll(&move->job, sink, wanted, -1);
        if (ready < 0)
            return job_fail(&move->job, ZC_SIDE_SINK, ready);
        if (ready & POLLIN) {
            int error = discard_inbound(move);
            if (error < 0)
                return job_fail(&move->job, ZC_SIDE_SINK, error);
        }
        bool drained = false;
        if (ready & POLLERR && move->drain_error_queue) {
            int messages = move->drain_error_queue(move);
            if (messages < 0)
                return job_fail(&move->job, ZC_SIDE_SINK, messages);
            drained = messages > 0;
        }
        /* POLLERR is the error queue, or an error: only an empty queue leaves the second. */
        if (ready & (POLLERR | POLLHUP) && !drained && move->sink_is_socket) {
            int error = zc_socket_error(sink);
            if (error < 0)
                return job_fail(&move->job, ZC_SIDE_SINK, error);
            if (events == 0)
                return job_fail(&move->job, ZC_SIDE_SINK, -ECONNRESET);
        }
        if (drained || ready & (events | POLLERR | POLLHUP))
            return 0;
    }
}

static int discard_inbound(struct move *move)
{
    char buffer[DISCARD_SIZE];
    ssize_t got = recv(move->options.sink, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got > 0)
        stat_add(&move->job.stats.discarded, (uint64_t)got);
    else if (got == 0)
        move->peer_finished = true;
    else if (errno != EAGAIN && errno != EINTR)
        return -errno;
    return 0;
}

int move_waiting(struct move *move, int fd, mover *run)
{
    bool waits = zc_fd_nonblocking(fd, 0) == 1;
    int end = run(move);
    if (waits)
        zc_fd_nonblocking(fd, 1);
    return end;
}

bool move_source_is_tcp(const struct move *move)
{
    int protocol;
    socklen_t length = sizeof(protocol);
    return getsockopt(move->options.source, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
           protocol == IPPROTO_TCP;
}

ssize_t move_read(struct move *move, void *buffer, size_t size)
{
    for (;;) {
        ssize_t got = buffer ? read(move->options.source, buffer, size)
                             : recv(move->options.source, NULL, size, MSG_TRUNC);
        if (got >= 0)
            return got;
        int error = -errno;
        if (error == -EAGAIN)
            error = move_wait_source(move);
        else if (error == -EINTR)
            error = job_check(&move->job);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    }
}

int move_write(struct move *move, const void *buffer, size_t size)
{
    const char *data = buffer;
    while (size > 0) {
        ssize_t put = move->sink_is_null ? (ssize_t)size : write(move->options.sink, data, size);
        int error = 0;
        if (put >= 0) {
            move_count(move, (uint64_t)put);
            data += put;
            size -= (size_t)put;
        } else if (errno == EAGAIN) {
            error = move_wait_sink(move, POLLOUT);
        } else if (errno == EINTR) {
            error = job_check(&move->job);
        } else {
            error = -errno;
        }
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SINK, error);
    }
    return 0;
}

int move_digest_file(struct move *move, int64_t offset, uint64_t size)
{
    if (!move->digest)
        return 0;
    void *buffer = malloc(DIGEST_READ_SIZE);
    if (!buffer)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    int error = 0;
    while (size > 0 && error == 0) {
        size_t wanted = size < DIGEST_READ_SIZE ? (size_t)size : DIGEST_READ_SIZE;
        ssize_t got = pread(move->options.source, buffer, wanted, offset);
        if (got > 0) {
            digest_update(move->digest, buffer, (size_t)got);
            offset += got;
            size -= (uint64_t)got;
        } else if (got == 0) {
            error = -ENODATA; /* truncated behind our back */
        } else if (errno != EINTR || job_check(&move->job) < 0) {
            error = errno == EINTR ? -ECANCELED : -errno;
        }
    }
    free(buffer);
    return error < 0 ? job_fail(&move->job, ZC_SIDE_SOURCE, error) : 0;
}

void *move_buffer(size_t size)
{
    void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return buffer == MAP_FAILED ? NULL : buffer;
}
