/* wait.c: the job that waits for a descriptor. */
#include <errno.h>
#include <stdlib.h>

#include "job.h"

struct wait {
    struct job job;
    struct zc_wait options;
};

static int wait_run(struct job *job)
{
    const struct zc_wait *options = &((struct wait *)job)->options;
    int ready = job_poll(job, options->fd, (short)options->events, options->timeout_ms);
    if (ready < 0)
        return ready;
    return ready == 0 ? -ETIMEDOUT : ZC_END_READY;
}

int64_t zc_wait_start(const struct zc_wait *options)
{
    struct wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return -ENOMEM;
    wait->options = *options;
    int64_t handle = job_start(&wait->job, options->event_fd, wait_run);
    if (handle < 0)
        free(wait);
    return handle;
}
