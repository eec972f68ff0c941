/* link.c: the job that carries vfio-user's messages over a socket, which nobody else reads. */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct link_job {
    struct job job;
    struct link *link;
};

static struct link *link_new(const struct zc_link *options);
static int link_run(struct job *job);
static int serve(struct link *link);
static short wanted(const struct link *link);
static int await_events(struct link *link, short events, int send_error);
static void leave(struct link *link);
static void link_job_release(struct job *job);

int64_t zc_link_start(const struct zc_link *options)
{
    if (options->size_max < sizeof(struct header) || options->size_max > UINT32_MAX)
        return -EINVAL;
    struct link_job *job = calloc(1, sizeof(*job));
    struct link *link = job ? link_new(options) : NULL;
    if (!link) {
        free(job);
        return -ENOMEM;
    }
    job->link = link;
    job->job.release = link_job_release;
    link->job = &job->job;
    int64_t handle = job_start(&job->job, options->event_fd, link_run);
    if (handle < 0) {
        link_release(link);
        free(job);
    }
    return handle;
}

static struct link *link_new(const struct zc_link *options)
{
    struct link *link = calloc(1, sizeof(*link));
    struct message *strays = message_new(0);
    if (!link || !strays) {
        free(link);
        message_free(strays);
        return NULL;
    }
    link->options = *options;
    link->strays = strays;
    link->references = 1;
    messages_init(&link->arrived);
    messages_init(&link->leaving);
    pthread_mutex_init(&link->lock, NULL);
    return link;
}

struct link *link_of(int64_t handle)
{
    return ((struct link_job *)(intptr_t)handle)->link;
}

struct link *link_hold(struct link *link)
{
    atomic_fetch_add(&link->references, 1);
    return link;
}

void link_release(struct link *link)
{
    if (atomic_fetch_sub(&link->references, 1) > 1)
        return;
    messages_free(&link->arrived);
    messages_free(&link->leaving);
    message_free(link->partial);
    message_free(link->strays);
    link_free_regions(link);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

static void link_job_release(struct job *job)
{
    link_release(((struct link_job *)job)->link);
}

static int link_run(struct job *job)
{
    struct link *link = ((struct link_job *)job)->link;
    int end = serve(link);
    link_drain(link);
    pthread_mutex_lock(&link->lock);
    link->job = NULL;
    link_end_callers(link);
    pthread_mutex_unlock(&link->lock);
    return end;
}

static int serve(struct link *link)
{
    for (;;) {
        pthread_mutex_lock(&link->lock);
        short events = wanted(link);
        int send_error = link->send_error;
        bool is_ending = link->is_ending, is_done = is_ending && !link->leaving.first;
        pthread_mutex_unlock(&link->lock);
        if (is_done)
            return send_error ? send_error : ZC_END_CLOSED;
        int ready = await_events(link, events, send_error);
        if (ready < 0)
            return ready;
        if (events & POLLOUT && ready & ~POLLIN)
            leave(link);
        int end = events & POLLIN && ready & ~POLLOUT ? link_receive(link) : 0;
        if (end == 0)
            end = link_cut(link);
        if (is_ending && (end == ZC_END_EOF || end == -ECONNRESET)) {
            link->is_broken = true; /* it may still take what we have to send */
            end = 0;
        }
        if (end != 0)
            return end;
    }
}

/*
 * A hang-up is told whatever is asked for: then the socket is not looked at. At the end, too, the
 * peer is read: one that waits until we do so would never take what we still have to send.
 */
static short wanted(const struct link *link)
{
    bool has_room = link->is_ending || messages_have_room(&link->arrived, link->options.held_max);
    bool reads = has_room && !link_has_more(link) && !link->is_broken;
    short events = reads ? POLLIN : 0;
    if (link->leaving.first)
        events |= POLLOUT;
    return events;
}

/* Once nothing can be sent any more, what is there is read, and not waited for. */
static int await_events(struct link *link, short events, int send_error)
{
    if (!send_error || !(events & POLLIN))
        return job_poll_or_wake(link->job, events ? link->options.fd : -1, events);
    int ready = job_poll(link->job, link->options.fd, events, 0);
    return ready == 0 ? send_error : ready;
}

/* Its error is in the link, for later: the peer may have said more before it has gone. */
static void leave(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link_flush(link);
    pthread_mutex_unlock(&link->lock);
}

int zc_link_take(int64_t handle, void *out, uint64_t capacity, struct zc_message *told)
{
    struct link *link = link_of(handle);
    pthread_mutex_lock(&link->lock);
    struct message *message = link->arrived.first;
    bool fits = message && message->size <= capacity;
    bool was_full = !messages_have_room(&link->arrived, link->options.held_max);
    if (message)
        told->size = message->size;
    if (fits)
        messages_take(&link->arrived);
    if (fits && was_full && link->job)
        job_wake(link->job);
    pthread_mutex_unlock(&link->lock);
    if (!fits)
        return message ? -EMSGSIZE : 0;
    told->flags = message->flags;
    told->fd_count = message->fd_count;
    told->fds_lost = message->fds_lost;
    memcpy(told->fds, message->fds, sizeof(int) * message->fd_count);
    memcpy(out, message->bytes, message->size);
    message->fd_count = 0;
    message_free(message);
    return 1;
}

int zc_link_settle(int64_t handle)
{
    struct link *link = link_of(handle);
    pthread_mutex_lock(&link->lock);
    if (link->unsettled > 0)
        link->unsettled--;
    pthread_mutex_unlock(&link->lock);
    return 0;
}

int zc_link_send(int64_t handle, const void *head, uint64_t head_size, const void *tail,
                 uint64_t tail_size, const int32_t *fds, uint32_t fd_count)
{
    if (fd_count > ZC_LINK_FDS_MAX)
        return -EINVAL;
    struct link *link = link_of(handle);
    struct iovec parts[2] = {{.iov_base = (void *)head, .iov_len = head_size},
                             {.iov_base = (void *)tail, .iov_len = tail_size}};
    pthread_mutex_lock(&link->lock);
    int error = link->job ? link_send_refused(link, head_size + tail_size) : 0;
    if (error == 0)
        error = link_send(link, NULL, parts, fds, fd_count);
    pthread_mutex_unlock(&link->lock);
    return error;
}

int zc_link_end(int64_t handle)
{
    struct link *link = link_of(handle);
    pthread_mutex_lock(&link->lock);
    link->is_ending = true;
    if (link->job)
        job_wake(link->job);
    pthread_mutex_unlock(&link->lock);
    return 0;
}
