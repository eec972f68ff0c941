/* vfio.c: the job that makes one ioctl(2), which takes as long as a device needs for it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "job.h"

struct vfio {
    struct job job;
    struct zc_vfio options;
};

static int vfio_run(struct job *job);

int64_t zc_vfio_start(const struct zc_vfio *options)
{
    struct vfio *vfio = calloc(1, sizeof(*vfio));
    if (!vfio)
        return -ENOMEM;
    vfio->options = *options;
    int64_t handle = job_start(&vfio->job, options->event_fd, vfio_run);
    if (handle < 0)
        free(vfio);
    return handle;
}

static int vfio_run(struct job *job)
{
    const struct zc_vfio *options = &((struct vfio *)job)->options;
    int result = ioctl(options->fd, (unsigned long)options->request, options->argument);
    if (result < 0)
        return job_fail(job, ZC_SIDE_SOURCE, -errno);
    stat_set(&job->stats.bytes, (uint64_t)result);
    return ZC_END_READY;
}
