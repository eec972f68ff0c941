/*
 * link_calls.c: the job that makes one call of a link over and over, so many at once, and measures
 * how long each took. The replies are taken, and the next calls made, by the link's own thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "link.h"

struct calls {
    struct job job; /* stats.calls: answered; stats.bytes: of the replies */
    struct zc_link_calls options;
    struct link *link;
    struct caller caller;
    unsigned char *request;
    int64_t *sent_ns; /* one an id; 0: nothing is under way with it */
    uint64_t begun;
    int64_t deadline_ns;
    int end; /* what ended it, a ZC_END_ or -errno; 0 before */
};

static int calls_run(struct job *job);
static int begin_all(struct calls *calls);
static int await_end(struct calls *calls);
static int call(struct calls *calls, uint16_t slot);
static void take_reply(struct caller *caller, struct message *reply);
static int look_at(struct calls *calls, const struct message *reply);
static void count(struct calls *calls, const struct message *reply);
static void calls_release(struct job *job);

int64_t zc_link_calls_start(const struct zc_link_calls *options)
{
    if (options->request_size < sizeof(struct header) || options->depth == 0 ||
        options->depth > ZC_LINK_DEPTH_MAX)
        return -EINVAL;
    struct calls *calls = calloc(1, sizeof(*calls));
    if (!calls)
        return -ENOMEM;
    calls->options = *options;
    calls->request = malloc(options->request_size);
    calls->sent_ns = calloc(options->depth, sizeof(*calls->sent_ns));
    calls->link = link_hold(link_of(options->link));
    calls->job.release = calls_release;
    calls->caller.take = take_reply;
    int64_t handle = -ENOMEM;
    if (calls->request && calls->sent_ns) {
        memcpy(calls->request, (void *)(uintptr_t)options->request, options->request_size);
        handle = job_start(&calls->job, options->event_fd, calls_run);
    }
    if (handle < 0) {
        calls_release(&calls->job);
        free(calls);
    }
    return handle;
}

static void calls_release(struct job *job)
{
    struct calls *calls = (struct calls *)job;
    link_release(calls->link);
    free(calls->request);
    free(calls->sent_ns);
}

static int calls_run(struct job *job)
{
    struct calls *calls = (struct calls *)job;
    uint64_t duration = calls->options.duration;
    calls->deadline_ns = duration == 0 ? INT64_MAX : job_now() + (int64_t)duration;
    int error = link_add_caller(calls->link, &calls->caller, (uint16_t)calls->options.depth);
    if (error < 0)
        return error;
    error = begin_all(calls);
    int end = error < 0 ? error : await_end(calls);
    link_remove_caller(calls->link, &calls->caller);
    return end;
}

static int await_end(struct calls *calls)
{
    for (;;) {
        pthread_mutex_lock(&calls->link->lock);
        int end = calls->end;
        pthread_mutex_unlock(&calls->link->lock);
        if (end == 0)
            end = job_poll_or_wake(&calls->job, -1, 0);
        if (end != 0)
            return end;
    }
}

static int begin_all(struct calls *calls)
{
    int error = 0;
    pthread_mutex_lock(&calls->link->lock);
    for (uint16_t slot = 0; error == 0 && slot < calls->options.depth; slot++)
        if (calls->begun < calls->options.limit)
            error = call(calls, slot);
    if (calls->begun == 0)
        calls->end = ZC_END_LIMIT;
    pthread_mutex_unlock(&calls->link->lock);
    return error;
}

static int call(struct calls *calls, uint16_t slot)
{
    struct header header;
    memcpy(&header, calls->request, sizeof(header));
    header.id = (uint16_t)(calls->caller.first_id + slot);
    memcpy(calls->request, &header, sizeof(header));
    struct iovec parts[2] = {{.iov_base = calls->request, .iov_len = calls->options.request_size}};
    calls->begun++;
    calls->sent_ns[slot] = job_now();
    return link_send(calls->link, &calls->caller, parts, NULL, 0);
}

/* On the link's thread, its lock held. */
static void take_reply(struct caller *caller, struct message *reply)
{
    struct calls *calls = (struct calls *)((char *)caller - offsetof(struct calls, caller));
    int end = reply ? look_at(calls, reply) : -EPIPE;
    message_free(reply);
    if (end == 0 || calls->end != 0)
        return;
    calls->end = end;
    job_wake(&calls->job);
}

/* What it ends the calls with; 0: they go on. A reply that nobody has asked for is none. */
static int look_at(struct calls *calls, const struct message *reply)
{
    uint16_t slot = (uint16_t)(message_header(reply).id - calls->caller.first_id);
    int64_t sent_ns = calls->sent_ns[slot];
    if (sent_ns == 0 || calls->end != 0)
        return 0;
    calls->sent_ns[slot] = 0;
    int error = link_reply_error(reply);
    if (error < 0)
        return error;
    count(calls, reply);
    histogram_add((uint64_t *)(uintptr_t)calls->options.counts, job_now() - sent_ns);
    if (calls->begun < calls->options.limit && job_now() < calls->deadline_ns)
        return call(calls, slot);
    return calls->job.stats.calls == calls->begun ? ZC_END_LIMIT : 0;
}

static void count(struct calls *calls, const struct message *reply)
{
    stat_add(&calls->job.stats.calls, 1);
    stat_add(&calls->job.stats.bytes, reply->size);
}
