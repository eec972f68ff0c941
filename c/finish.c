/* finish.c: the sender's end: everything acknowledged, and the peer's close seen where it comes. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "job.h"
#include "socket.h"

/* An acknowledgement wakes nobody: SIOCOUTQ is asked for again after a pause that doubles. */
#define PAUSE_MS_MIN 1
#define PAUSE_MS_MAX 16
#define DISCARD_SIZE 65536

struct finish {
    struct job job;
    struct zc_finish options;
    bool peer_closed;
};

static int finish_run(struct job *job);
static int await_acknowledgement(struct finish *finish);
static int await_close(struct finish *finish, int64_t timeout_ms);
static int read_inbound(struct finish *finish);

int64_t zc_finish_start(const struct zc_finish *options)
{
    struct finish *finish = calloc(1, sizeof(*finish));
    if (!finish)
        return -ENOMEM;
    finish->options = *options;
    int64_t handle = job_start(&finish->job, options->event_fd, finish_run);
    if (handle < 0)
        free(finish);
    return handle;
}

static int finish_run(struct job *job)
{
    struct finish *finish = (struct finish *)job;
    /* One that closes before it has seen our end does not tell that it has all. */
    int before = job_poll(job, finish->options.fd, POLLRDHUP, 0);
    int error = before < 0 ? before : socket_half_close(finish->options.fd);
    if (error == 0)
        error = await_acknowledgement(finish);
    if (error == 0 && !finish->peer_closed)
        error = await_close(finish, finish->options.linger_ms);
    if (error < 0)
        return job_fail(job, ZC_SIDE_SINK, error);
    bool has_taken_all = finish->peer_closed && !(before & POLLRDHUP);
    return has_taken_all ? ZC_END_CLOSED : ZC_END_ACKNOWLEDGED;
}

static int await_acknowledgement(struct finish *finish)
{
    int64_t pause_ms = PAUSE_MS_MIN;
    for (;;) {
        int pending = socket_pending(finish->options.fd);
        if (pending < 0)
            return pending;
        stat_set(&finish->job.stats.pending, (uint64_t)pending);
        if (pending == 0)
            return 0;
        /* After both sides have closed poll(2) would not wait: only time is left to wait for. */
        int error = finish->peer_closed ? job_poll(&finish->job, -1, 0, pause_ms)
                                        : await_close(finish, pause_ms);
        if (error < 0)
            return error;
        if (pause_ms < PAUSE_MS_MAX)
            pause_ms *= 2;
    }
}

/* Reads and discards what the peer says, until it closes or the time is over. 0, or -errno. */
static int await_close(struct finish *finish, int64_t timeout_ms)
{
    int64_t deadline = job_now() + timeout_ms * 1000000;
    while (!finish->peer_closed) {
        int64_t left_ms = (deadline - job_now() + 999999) / 1000000;
        if (left_ms <= 0)
            return 0;
        int ready = job_poll(&finish->job, finish->options.fd, POLLIN, left_ms);
        if (ready <= 0)
            return ready;
        int error = read_inbound(finish);
        if (error < 0)
            return error;
    }
    return 0;
}

static int read_inbound(struct finish *finish)
{
    char buffer[DISCARD_SIZE];
    ssize_t got = recv(finish->options.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got > 0)
        stat_add(&finish->job.stats.discarded, (uint64_t)got);
    else if (got == 0)
        finish->peer_closed = true;
    else if (errno != EAGAIN && errno != EINTR)
        return -errno;
    return 0;
}
