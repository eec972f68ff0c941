/* notices.c: a ring with one writer, the job, and one reader, the owner. */
#include "notices.h"

#include <errno.h>
#include <stdlib.h>

#include "job.h"

#define CAPACITY 4096u
/* How often a writer looks whether the reader has made room. */
#define FULL_PAUSE_MS 1

struct notices {
    atomic_uint written, taken; /* count up, and wrap */
    struct zc_notice ring[CAPACITY];
};

int notices_open(struct job *job)
{
    job->notices = calloc(1, sizeof(*job->notices));
    return job->notices ? 0 : -ENOMEM;
}

void notices_close(struct notices *notices)
{
    free(notices);
}

int notices_put(struct job *job, const struct zc_notice *notice)
{
    struct notices *notices = job->notices;
    unsigned written = atomic_load_explicit(&notices->written, memory_order_relaxed);
    while (written - atomic_load(&notices->taken) == CAPACITY) {
        int error = job_poll(job, -1, 0, FULL_PAUSE_MS);
        if (error < 0)
            return error;
    }
    notices->ring[written % CAPACITY] = *notice;
    atomic_store(&notices->written, written + 1);
    /* Who has read everything may have gone to sleep; who has not will find this one. */
    if (atomic_load(&notices->taken) == written)
        job_wake_owner(job);
    return 0;
}

int zc_notices_take(int64_t handle, struct zc_notice *out, uint32_t capacity)
{
    struct job *job = (struct job *)(intptr_t)handle;
    struct notices *notices = job->notices;
    if (!notices)
        return -EINVAL;
    unsigned taken = atomic_load_explicit(&notices->taken, memory_order_relaxed);
    unsigned waiting = atomic_load(&notices->written) - taken;
    unsigned count = waiting < capacity ? waiting : capacity;
    for (unsigned i = 0; i < count; i++)
        out[i] = notices->ring[(taken + i) % CAPACITY];
    atomic_store(&notices->taken, taken + count);
    return (int)count;
}
