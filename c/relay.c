/* relay.c: the job that joins two connected sockets, each direction through a pipe: splice(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "errqueue.h"
#include "job.h"
#include "socket.h"

/* An acknowledgement wakes nobody: it is asked for again after a pause that doubles. */
#define PAUSE_MS_MIN 1
#define PAUSE_MS_MAX 16
/* Fillings of the pipe that a broken end's last words may take: it need not be dead. */
#define LAST_FILLINGS_MAX 16

struct end {
    uint64_t side;
    int fd;
    int error;    /* what broke it, as -errno; 0 while it works */
    short ready;  /* poll(2) events that it is ready for */
    bool hung_up; /* poll(2) says so again and again: it is ready for all that it will ever be */
};

/* One direction. Its pipe is filled only when it is empty, and emptied before anything else. */
struct flow {
    struct end *source, *sink;
    struct zc_flow *counts;
    size_t held; /* bytes in the pipe */
    int pipe_fds[2];
    int tee; /* or -1 */
};

struct relay {
    struct job job;
    struct zc_relay options;
    struct end near, far;
    struct flow forth, back;
};

static int relay_run(struct job *job);
static int open_pipe(struct flow *flow, uint32_t size);
static void enlarge(int pipe_fd, uint32_t size);
static void close_pipe(struct flow *flow);
static int pass_all(struct relay *relay);
static int await_either(struct relay *relay);
static short wanted(const struct flow *from, const struct flow *to);
static void look(struct end *end, short revents);
static void pass(struct relay *relay, struct flow *flow);
static void fill(struct relay *relay, struct flow *flow);
static void duplicate(struct relay *relay, const struct flow *flow);
static void drain(struct relay *relay, struct flow *flow);
static void pass_end(struct relay *relay, struct flow *flow);
static void note_error(struct end *end, int error);
static int say_last_words(struct relay *relay, struct end *broken);
static int await_acknowledgements(struct relay *relay);

int64_t zc_relay_start(const struct zc_relay *options)
{
    if (options->flows == 0 || options->pipe_size == 0 || options->pipe_size > INT32_MAX)
        return -EINVAL;
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return -ENOMEM;
    struct zc_flow *counts = (struct zc_flow *)(uintptr_t)options->flows;
    relay->options = *options;
    relay->near = (struct end){.side = ZC_SIDE_NEAR, .fd = options->near};
    relay->far = (struct end){.side = ZC_SIDE_FAR, .fd = options->far};
    relay->forth = (struct flow){.source = &relay->near,
                                 .sink = &relay->far,
                                 .counts = &counts[0],
                                 .pipe_fds = {-1, -1},
                                 .tee = options->tee_forth};
    relay->back = (struct flow){.source = &relay->far,
                                .sink = &relay->near,
                                .counts = &counts[1],
                                .pipe_fds = {-1, -1},
                                .tee = options->tee_back};
    int64_t handle = job_start(&relay->job, options->event_fd, relay_run);
    if (handle < 0)
        free(relay);
    return handle;
}

static int relay_run(struct job *job)
{
    struct relay *relay = (struct relay *)job;
    int end = open_pipe(&relay->forth, relay->options.pipe_size);
    if (end == 0)
        end = open_pipe(&relay->back, relay->options.pipe_size);
    if (end == 0)
        end = pass_all(relay);
    close_pipe(&relay->forth);
    close_pipe(&relay->back);
    return end;
}

static int open_pipe(struct flow *flow, uint32_t size)
{
    if (pipe2(flow->pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    enlarge(flow->pipe_fds[1], size);
    if (flow->tee >= 0)
        enlarge(flow->tee, size);
    return 0;
}

/* Where it is refused (pipe-max-size, pipe(7)) it works as it is. */
static void enlarge(int pipe_fd, uint32_t size)
{
    if (fcntl(pipe_fd, F_GETPIPE_SZ) < (int)size)
        fcntl(pipe_fd, F_SETPIPE_SZ, (int)size);
}

static void close_pipe(struct flow *flow)
{
    for (int each = 0; each < 2; each++)
        if (flow->pipe_fds[each] >= 0)
            close(flow->pipe_fds[each]);
}

static int pass_all(struct relay *relay)
{
    while (!relay->forth.counts->ended || !relay->back.counts->ended) {
        int error = await_either(relay);
        if (error < 0)
            return error;
        pass(relay, &relay->forth);
        pass(relay, &relay->back);
        if (relay->near.error < 0)
            return say_last_words(relay, &relay->near);
        if (relay->far.error < 0)
            return say_last_words(relay, &relay->far);
    }
    return await_acknowledgements(relay);
}

/* Waits until one of the flows can go on, or an end breaks. Returns 0, or -ECANCELED. */
static int await_either(struct relay *relay)
{
    struct end *ends[2] = {&relay->near, &relay->far};
    short events[2] = {wanted(&relay->forth, &relay->back), wanted(&relay->back, &relay->forth)};
    struct pollfd fds[2];
    bool is_ready = false;
    for (int each = 0; each < 2; each++) {
        bool hung_up = ends[each]->hung_up;
        ends[each]->ready = hung_up ? events[each] : 0;
        is_ready = is_ready || ends[each]->ready != 0;
        fds[each] = (struct pollfd){.fd = hung_up ? -1 : ends[each]->fd, .events = events[each]};
    }
    if (is_ready)
        return job_check(&relay->job);
    int error = job_poll_both(&relay->job, fds);
    for (int each = 0; each < 2 && error == 0; each++)
        look(ends[each], fds[each].revents);
    return error;
}

/* What an end is polled for, by what goes from it and what goes to it. */
static short wanted(const struct flow *from, const struct flow *to)
{
    short events = 0;
    if (from->held == 0 && !from->counts->ended)
        events |= POLLIN;
    if (to->held > 0)
        events |= POLLOUT;
    return events;
}

static void look(struct end *end, short revents)
{
    end->ready |= revents;
    end->hung_up = end->hung_up || revents & POLLHUP;
    if (revents & (POLLERR | POLLHUP))
        end->error = zc_socket_error(end->fd);
    if (revents & POLLNVAL)
        end->error = -EBADF;
    /* An error without a name is what an earlier owner left on the error queue. */
    struct zc_notice notice;
    while (revents & POLLERR && end->error == 0 && errqueue_read(end->fd, &notice) == 0)
        continue;
}

/* What can go at once: one filling of the pipe. */
static void pass(struct relay *relay, struct flow *flow)
{
    bool is_due = flow->held > 0 ? flow->sink->ready & (POLLOUT | POLLHUP)
                                 : flow->source->ready & (POLLIN | POLLHUP);
    if (!is_due || flow->counts->ended)
        return;
    if (flow->held == 0)
        fill(relay, flow);
    if (flow->held > 0)
        drain(relay, flow);
}

static void fill(struct relay *relay, struct flow *flow)
{
    ssize_t got = splice(flow->source->fd, NULL, flow->pipe_fds[1], NULL, relay->options.pipe_size,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got < 0) {
        note_error(flow->source, -errno);
    } else if (got == 0) {
        pass_end(relay, flow);
    } else {
        flow->held = (size_t)got;
        duplicate(relay, flow);
    }
}

/*
 * tee(2) duplicates from the begin of the pipe, so all of a filling is duplicated before the sink
 * takes any of it, or never. Whoever reads too slowly has a beginning without gaps, and no more.
 */
static void duplicate(struct relay *relay, const struct flow *flow)
{
    uint64_t *missed = &flow->counts->missed;
    if (flow->tee < 0)
        return;
    bool is_first = *missed == 0;
    ssize_t got = is_first ? tee(flow->pipe_fds[0], flow->tee, flow->held, SPLICE_F_NONBLOCK) : 0;
    stat_add(missed, flow->held - (got > 0 ? (size_t)got : 0));
    if (is_first && *missed > 0)
        job_wake_owner(&relay->job);
}

static void drain(struct relay *relay, struct flow *flow)
{
    ssize_t put = splice(flow->pipe_fds[0], NULL, flow->sink->fd, NULL, flow->held,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (put <= 0) { /* the pipe holds something: a sink that takes none is broken */
        note_error(flow->sink, put < 0 ? -errno : -EIO);
        return;
    }
    flow->held -= (size_t)put;
    stat_add(&flow->counts->bytes, (uint64_t)put);
    stat_add(&flow->counts->calls, 1);
    stat_add(&relay->job.stats.bytes, (uint64_t)put);
    stat_add(&relay->job.stats.calls, 1);
}

/* A socket whose error was taken says that it has ended: it has not. */
static void pass_end(struct relay *relay, struct flow *flow)
{
    if (flow->source->error < 0)
        return;
    int error = socket_half_close(flow->sink->fd);
    if (error < 0) {
        note_error(flow->sink, error);
        return;
    }
    stat_set(&flow->counts->ended, 1);
    if (flow->tee >= 0)
        job_wake_owner(&relay->job);
}

static void note_error(struct end *end, int error)
{
    if (error != -EAGAIN && error != -EINTR && end->error == 0)
        end->error = error;
}

/* A reset overtakes no more than it would without us: what came before it goes on, if at once. */
static int say_last_words(struct relay *relay, struct end *broken)
{
    struct flow *last = broken == &relay->near ? &relay->forth : &relay->back;
    last->source->ready = POLLIN;
    last->sink->ready = POLLOUT;
    uint64_t before = UINT64_MAX;
    for (int each = 0; each < LAST_FILLINGS_MAX && before != last->counts->bytes; each++) {
        before = last->counts->bytes;
        pass(relay, last);
    }
    return job_fail(&relay->job, broken->side, broken->error);
}

static int await_acknowledgements(struct relay *relay)
{
    int64_t pause_ms = PAUSE_MS_MIN;
    for (;;) {
        int near = socket_pending(relay->near.fd), far = socket_pending(relay->far.fd);
        if (near < 0)
            return job_fail(&relay->job, ZC_SIDE_NEAR, near);
        if (far < 0)
            return job_fail(&relay->job, ZC_SIDE_FAR, far);
        stat_set(&relay->job.stats.pending, (uint64_t)near + (uint64_t)far);
        if (near == 0 && far == 0)
            return ZC_END_ACKNOWLEDGED;
        int error = job_poll(&relay->job, -1, 0, pause_ms);
        if (error < 0)
            return error;
        if (pause_ms < PAUSE_MS_MAX)
            pause_ms *= 2;
    }
}
