/* await.h: the end of a job. */
#ifndef AWAIT_H
#define AWAIT_H

#include <stdint.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "check.h"

/* Frees it. */
static struct zc_stats await(int64_t handle, int event_fd)
{
    volatile const struct zc_stats *stats = (const struct zc_stats *)(intptr_t)handle;
    while (__atomic_load_n(&stats->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED) {
        uint64_t news;
        CHECK(read(event_fd, &news, sizeof(news)) == sizeof(news));
    }
    struct zc_stats final = *(const struct zc_stats *)(intptr_t)handle;
    CHECK(zc_job_free(handle) == 0);
    return final;
}

#endif
