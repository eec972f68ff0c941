/*
 * answers.c: the other half of a paced move: one byte comes back for each request, and how long
 * after the request was due is counted. What was due counts, not what was sent: a sender that is
 * held up does not hide it (coordinated omission).
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "histogram.h"
#include "job.h"

#define READ_SIZE 4096

/* Buckets of a power of two, 2^10, and of the times that are less. */
#define PART_BITS 10

struct answers {
    struct job job;
    struct zc_answers options;
};

static int answers_run(struct job *job);
static void count(struct answers *answers, size_t arrived);

int64_t zc_answers_start(const struct zc_answers *options)
{
    if (options->counts == 0 || options->interval == 0)
        return -EINVAL;
    struct answers *answers = calloc(1, sizeof(*answers));
    if (!answers)
        return -ENOMEM;
    answers->options = *options;
    int64_t handle = job_start(&answers->job, options->event_fd, answers_run);
    if (handle < 0)
        free(answers);
    return handle;
}

static int answers_run(struct job *job)
{
    struct answers *answers = (struct answers *)job;
    char buffer[READ_SIZE];
    for (;;) {
        int error = job_check(job);
        ssize_t got = error < 0 ? error : read(answers->options.fd, buffer, sizeof(buffer));
        if (got > 0)
            count(answers, (size_t)got);
        else if (got == 0)
            return ZC_END_EOF;
        else if (error == 0 && errno == EAGAIN)
            error = job_poll(job, answers->options.fd, POLLIN, -1);
        else if (error == 0 && errno != EINTR)
            error = -errno;
        if (error < 0)
            return job_fail(job, ZC_SIDE_SOURCE, error);
    }
}

static void count(struct answers *answers, size_t arrived)
{
    const struct zc_answers *options = &answers->options;
    uint64_t *counts = (uint64_t *)(uintptr_t)options->counts;
    int64_t now = job_now();
    uint64_t answered = answers->job.stats.bytes;
    for (size_t i = 0; i < arrived; i++) {
        int64_t due = options->start_ns + (int64_t)((answered + i) * options->interval);
        histogram_add(counts, now - due);
    }
    stat_add(&answers->job.stats.bytes, arrived);
    stat_add(&answers->job.stats.calls, 1);
}

uint32_t zc_histogram_bucket(int64_t ns)
{
    uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
    if (value < 1u << PART_BITS)
        return (uint32_t)value;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(value);
    uint32_t shift = power - PART_BITS;
    uint64_t bucket = ((uint64_t)(shift + 1) << PART_BITS) + (value >> shift) - (1u << PART_BITS);
    return bucket < ZC_HISTOGRAM_BUCKETS ? (uint32_t)bucket : ZC_HISTOGRAM_BUCKETS - 1;
}

int64_t zc_clock_now(void)
{
    return job_now();
}
