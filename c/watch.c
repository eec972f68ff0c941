/* watch.c: the job that takes what is on a socket's error queue. The socket may be another's. */
#include <errno.h>
#include <stdlib.h>

#include "errqueue.h"
#include "job.h"
#include "notices.h"

/*
 * An error that is pending on the socket (SO_ERROR) keeps poll(2) awake, and to take it would take
 * it away from its owner: then the queue is looked at so often.
 */
#define PENDING_ERROR_PAUSE_MS 10

struct watch {
    struct job job;
    struct zc_watch options;
};

static int watch_run(struct job *job);
static int take_all(struct watch *watch);
static int await_more(struct watch *watch);

int64_t zc_watch_start(const struct zc_watch *options)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->options = *options;
    int64_t handle = notices_open(&watch->job);
    if (handle == 0)
        handle = job_start(&watch->job, options->event_fd, watch_run);
    if (handle < 0) {
        notices_close(watch->job.notices);
        free(watch);
    }
    return handle;
}

static int watch_run(struct job *job)
{
    struct watch *watch = (struct watch *)job;
    int error;
    do {
        error = take_all(watch);
    } while (error >= 0 && watch->options.follow && (error = await_more(watch)) >= 0);
    return error < 0 ? job_fail(job, ZC_SIDE_SOURCE, error) : ZC_END_EOF;
}

static int take_all(struct watch *watch)
{
    struct zc_notice notice;
    int error = 0;
    while (error == 0 && (error = errqueue_read(watch->options.fd, &notice)) == 0) {
        stat_add(&watch->job.stats.notifications, 1);
        error = notices_put(&watch->job, &notice);
    }
    return error == -EAGAIN ? 0 : error;
}

static int await_more(struct watch *watch)
{
    struct job *job = &watch->job;
    uint64_t before = job->stats.notifications;
    int ready = job_poll(job, watch->options.fd, 0, -1);
    int error = ready < 0 ? ready : take_all(watch);
    if (error == 0 && job->stats.notifications == before)
        error = job_poll(job, -1, 0, PENDING_ERROR_PAUSE_MS);
    return error;
}
