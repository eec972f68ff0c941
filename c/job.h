/* job.h: what runs on a thread of its own, and how it waits, counts and is cancelled. */
#ifndef ZC_JOB_H
#define ZC_JOB_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#include "zc.h"

struct job {
    struct zc_stats stats; /* first: a job's handle is the address of its stats */
    atomic_int cancelled;
    int wake_fd; /* readable when there is news for the job: wakes a poll */
    int event_fd;
    pthread_t thread;
    struct notices *notices; /* or NULL; the job's own */
    /* Returns a ZC_END_, or -errno with stats.side set. */
    int (*run)(struct job *job);
    void (*release)(struct job *job); /* may be NULL; runs when the job is freed */
};

/*
 * Runs `run` on a new thread. `job` is the first member of a struct from calloc(3), which now
 * belongs to the job: zc_job_free frees it. Returns the handle; on -errno the struct stays the
 * caller's.
 */
int64_t job_start(struct job *job, int event_fd, int (*run)(struct job *job));

/* -ECANCELED once zc_job_cancel was called, else 0. */
int job_check(const struct job *job);

/*
 * Waits for `events` on `fd` (-1: for nothing but time) up to `timeout_ms` (-1: for ever).
 * Returns the poll(2) revents, 0 when the time is over, -ECANCELED, or -errno.
 */
int job_poll(struct job *job, int fd, short events, int64_t timeout_ms);

/* As job_poll, but for both of `fds`, and for ever. Returns 0, with their revents set. */
int job_poll_both(struct job *job, struct pollfd fds[2]);

/* Waits until `deadline_ns` of CLOCK_MONOTONIC, and not a microsecond more than it must. */
int job_wait_until(struct job *job, int64_t deadline_ns);

/* As job_poll, but returns 0 after job_wake too, and waits for ever. */
int job_poll_or_wake(struct job *job, int fd, short events);

/* Ends the job's present or next job_poll_or_wake. */
void job_wake(struct job *job);

/* Adds 1 to the eventfd that the job was given. */
void job_wake_owner(struct job *job);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t job_now(void);

/* Counters are read by another thread while they grow: one plain store each, never torn. */
static inline void stat_set(uint64_t *field, uint64_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline void stat_add(uint64_t *field, uint64_t value)
{
    stat_set(field, *field + value);
}

/* Notes which end said no. Returns `error` (a -errno) for `return job_fail(…)`. */
static inline int job_fail(struct job *job, uint64_t side, int error)
{
    stat_set(&job->stats.side, side);
    return error;
}

#endif
