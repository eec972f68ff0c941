/*
 * channel.c: a job that sends what its owner queues, and gives each write back once the kernel has
 * let go of its memory. The owner's calls and the job's thread meet under one lock, in three
 * queues of slots: free, queued, done. A slot's number is its buffer's in the zero-copy books.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "job.h"
#include "zerocopy.h"

/* How long to wait for the kernel to let go after an error, before memory is given up for lost. */
#define RELEASE_NS 100000000
#define RELEASE_PAUSE_MS 1
#define NO_SLOT -1

struct write {
    struct iovec parts[ZEROCOPY_PARTS_MAX];
    unsigned first, count; /* parts that are not wholly sent: first to count - 1 */
    uint64_t tag;
    uint64_t size, sent; /* bytes */
    uint32_t copies;     /* sends for which the kernel was not asked */
    int64_t queued_ns, done_ns;
    int error;
    bool is_outstanding; /* taken off the queue, not done yet */
};

struct queue {
    uint16_t slots[ZC_CHANNEL_DEPTH_MAX];
    unsigned head, tail; /* count up */
};

struct channel {
    struct job job;
    struct zc_channel options;
    struct zerocopy zerocopy;
    struct write writes[ZC_CHANNEL_DEPTH_MAX];
    int current;          /* the slot that is being sent, or NO_SLOT */
    unsigned outstanding; /* slots that the thread has taken off the queue and not given back */
    bool is_deaf;         /* the peer is gone, nothing is under way: no use in polling */
    pthread_mutex_t lock;
    struct queue free, queued, done; /* under the lock */
    int late_error;                  /* under the lock: a datagram's, whose write is over; or 0 */
    bool ending, ended, asleep;      /* under the lock */
};

static int channel_run(struct job *job);
static void channel_release(struct job *job);
static int channel_open(struct channel *channel);
static int send_queued(struct channel *channel);
static int send_some(struct channel *channel);
static bool ends_stream(const struct channel *channel, int error);
static int next_queued(struct channel *channel);
static void advance(struct write *write, size_t sent);
static int give_back_freed(struct channel *channel);
static void give_back(struct channel *channel, int slot);
static bool is_over(struct channel *channel);
static int await_news(struct channel *channel, int wanted);
static void tell_late_error(struct channel *channel, int error);
static int take_socket_error(struct channel *channel, int wanted);
static int fail_all(struct channel *channel, int error);
static void make_kernel_let_go(struct channel *channel);
static void push(struct queue *queue, int slot);
static int pop(struct queue *queue);

/* --- the owner's side */

int64_t zc_channel_start(const struct zc_channel *options)
{
    if (options->depth < 1 || options->depth > ZC_CHANNEL_DEPTH_MAX || options->piece == 0)
        return -EINVAL;
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->options = *options;
    channel->current = NO_SLOT;
    pthread_mutex_init(&channel->lock, NULL);
    for (unsigned slot = 0; slot < options->depth; slot++)
        push(&channel->free, (int)slot);
    channel->job.release = channel_release;
    int64_t handle = job_start(&channel->job, options->event_fd, channel_run);
    if (handle < 0) {
        pthread_mutex_destroy(&channel->lock);
        free(channel);
    }
    return handle;
}

static void channel_release(struct job *job)
{
    pthread_mutex_destroy(&((struct channel *)job)->lock);
}

int zc_channel_write(int64_t handle, uint64_t tag, const struct zc_part *parts, uint32_t count)
{
    struct channel *channel = (struct channel *)(intptr_t)handle;
    if (tag == ZC_CHANNEL_NO_TAG || count > ZEROCOPY_PARTS_MAX)
        return -EINVAL;
    int error = 0;
    pthread_mutex_lock(&channel->lock);
    int slot = channel->ending || channel->ended ? NO_SLOT : pop(&channel->free);
    if (slot == NO_SLOT) {
        error = channel->ending || channel->ended ? -EPIPE : -EAGAIN;
    } else {
        struct write *write = &channel->writes[slot];
        *write = (struct write){.tag = tag, .count = count, .queued_ns = job_now()};
        for (uint32_t i = 0; i < count; i++) {
            write->parts[i].iov_base = (void *)(uintptr_t)parts[i].address;
            write->parts[i].iov_len = parts[i].size;
            write->size += parts[i].size;
        }
        push(&channel->queued, slot);
        if (channel->asleep)
            job_wake(&channel->job);
        channel->asleep = false;
    }
    pthread_mutex_unlock(&channel->lock);
    return error;
}

int zc_channel_take(int64_t handle, struct zc_completion *out, uint32_t capacity)
{
    struct channel *channel = (struct channel *)(intptr_t)handle;
    uint32_t taken = 0;
    pthread_mutex_lock(&channel->lock);
    if (channel->late_error != 0 && capacity > 0) {
        out[taken++] = (struct zc_completion){.tag = ZC_CHANNEL_NO_TAG,
                                              .error = (uint32_t)-channel->late_error};
        channel->late_error = 0;
    }
    int slot;
    while (taken < capacity && (slot = pop(&channel->done)) != NO_SLOT) {
        const struct write *write = &channel->writes[slot];
        const struct zerocopy_buffer *buffer = &channel->zerocopy.buffers[slot];
        out[taken++] = (struct zc_completion){
            .tag = write->tag,
            .bytes = write->sent,
            .held_ns = write->done_ns - write->queued_ns,
            .uncopied = buffer->uncopied,
            .copied = buffer->copied + write->copies,
            .unknown = buffer->unknown,
            .error = (uint32_t)-write->error,
            .held = buffer->in_flight > 0,
        };
        push(&channel->free, slot);
    }
    pthread_mutex_unlock(&channel->lock);
    return (int)taken;
}

int zc_channel_end(int64_t handle)
{
    struct channel *channel = (struct channel *)(intptr_t)handle;
    pthread_mutex_lock(&channel->lock);
    channel->ending = true;
    job_wake(&channel->job);
    pthread_mutex_unlock(&channel->lock);
    return 0;
}

/* --- the job's side */

static int channel_run(struct job *job)
{
    struct channel *channel = (struct channel *)job;
    int error = channel_open(channel);
    while (error >= 0) {
        int wanted = send_queued(channel);
        error = wanted < 0 ? wanted : give_back_freed(channel);
        if (error == 0 && is_over(channel))
            return ZC_END_EOF;
        if (error == 0)
            error = await_news(channel, wanted);
    }
    return fail_all(channel, error);
}

static int channel_open(struct channel *channel)
{
    const struct zc_channel *asked = &channel->options;
    struct zerocopy_options options = {
        .piece = asked->piece,
        .worthwhile = asked->flags & ZC_CHANNEL_COPY ? UINT64_MAX : asked->worthwhile,
        .required = asked->flags & ZC_CHANNEL_REQUIRED,
        .adapts = asked->flags & ZC_CHANNEL_ADAPT,
    };
    int error = zerocopy_open(&channel->zerocopy, asked->fd, &options, &channel->job);
    bool is_no_socket = error == -EBADF || error == -ENOTSOCK;
    return options.required || is_no_socket ? error : 0;
}

#define WANT_NOTHING 0
#define WANT_ROOM 1        /* in the socket */
#define WANT_COMPLETIONS 2 /* something to let go of */

/* Sends until there is nothing queued, or no room. Returns a WANT_, or -errno: the stream's end. */
static int send_queued(struct channel *channel)
{
    for (;;) {
        if (channel->current == NO_SLOT)
            channel->current = next_queued(channel);
        if (channel->current == NO_SLOT)
            return WANT_NOTHING;
        int error = send_some(channel);
        if (error == -EAGAIN)
            return WANT_ROOM;
        if (error == -EBUSY)
            return WANT_COMPLETIONS;
        if (error < 0)
            return error;
        int messages = zerocopy_drain_sometimes(&channel->zerocopy);
        error = messages < 0 ? messages : give_back_freed(channel);
        if (error < 0)
            return error;
    }
}

/* One send of the current write, which is over when all of it is sent, or when it failed. */
static int send_some(struct channel *channel)
{
    struct write *write = &channel->writes[channel->current];
    uint64_t sends_before = channel->job.stats.sends;
    ssize_t sent = 0;
    if (write->size > 0 || channel->zerocopy.datagrams)
        sent = zerocopy_send(&channel->zerocopy, (unsigned)channel->current,
                             &write->parts[write->first], write->count - write->first);
    if (sent == -EAGAIN || sent == -EBUSY)
        return (int)sent;
    if (sent == -EINTR)
        return job_check(&channel->job);
    if (sent < 0 && ends_stream(channel, (int)sent))
        return (int)sent;
    if (sent >= 0) {
        advance(write, (size_t)sent);
        write->copies += write->size > 0 && channel->job.stats.sends == sends_before;
        stat_add(&channel->job.stats.bytes, (uint64_t)sent);
        stat_add(&channel->job.stats.calls, 1);
    } else {
        write->error = (int)sent;
    }
    if (write->sent == write->size || write->error < 0) {
        int slot = channel->current;
        channel->current = NO_SLOT;
        if (zerocopy_buffer_is_free(&channel->zerocopy, (unsigned)slot))
            give_back(channel, slot);
    }
    return 0;
}

/* A stream ends with any error; a datagram's is its own, unless the socket itself is the reason. */
static bool ends_stream(const struct channel *channel, int error)
{
    return !channel->zerocopy.datagrams || error == -ECANCELED || error == -EBADF ||
           error == -EPIPE || error == -ENOTSOCK || error == -EPROTO;
}

static int next_queued(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    int slot = pop(&channel->queued);
    pthread_mutex_unlock(&channel->lock);
    if (slot == NO_SLOT)
        return NO_SLOT;
    zerocopy_reuse(&channel->zerocopy, (unsigned)slot);
    channel->writes[slot].is_outstanding = true;
    channel->outstanding++;
    channel->is_deaf = false;
    return slot;
}

static void advance(struct write *write, size_t sent)
{
    write->sent += sent;
    while (sent > 0) {
        struct iovec *part = &write->parts[write->first];
        size_t step = sent < part->iov_len ? sent : part->iov_len;
        part->iov_base = (char *)part->iov_base + step;
        part->iov_len -= step;
        sent -= step;
        if (part->iov_len == 0)
            write->first++;
    }
}

/*
 * Of the buffers that the kernel has let go of, those that are wholly sent. A reset lets go of all:
 * the error comes before its completions, so that none of them passes for a success. Returns 0, or
 * that error.
 */
static int give_back_freed(struct channel *channel)
{
    if (channel->zerocopy.datagrams && channel->zerocopy.late_error < 0) {
        tell_late_error(channel, channel->zerocopy.late_error);
        channel->zerocopy.late_error = 0;
    }
    if (channel->zerocopy.freed_count == 0)
        return 0;
    int error = channel->zerocopy.datagrams ? 0 : zc_socket_error(channel->options.fd);
    if (error < 0)
        return error;
    int slot;
    while ((slot = zerocopy_next_freed(&channel->zerocopy)) >= 0) {
        bool is_free = zerocopy_buffer_is_free(&channel->zerocopy, (unsigned)slot);
        if (slot != channel->current && is_free && channel->writes[slot].is_outstanding)
            give_back(channel, slot);
    }
    return 0;
}

static void give_back(struct channel *channel, int slot)
{
    channel->writes[slot].is_outstanding = false;
    channel->writes[slot].done_ns = job_now();
    channel->outstanding--;
    pthread_mutex_lock(&channel->lock);
    bool was_empty = channel->done.head == channel->done.tail;
    push(&channel->done, slot);
    if (was_empty) /* who finds something takes all of it */
        job_wake_owner(&channel->job);
    pthread_mutex_unlock(&channel->lock);
}

static bool is_over(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    bool is_queued = channel->queued.head != channel->queued.tail;
    channel->ended = channel->ending && !is_queued && channel->outstanding == 0;
    bool ended = channel->ended;
    pthread_mutex_unlock(&channel->lock);
    return ended;
}

/* Waits for writes, room or completions, and reads what the error queue has. 0, or -errno. */
static int await_news(struct channel *channel, int wanted)
{
    pthread_mutex_lock(&channel->lock);
    bool has_work = wanted == WANT_NOTHING && (channel->queued.head != channel->queued.tail ||
                                               (channel->ending && channel->outstanding == 0));
    channel->asleep = !has_work;
    pthread_mutex_unlock(&channel->lock);
    if (has_work)
        return job_check(&channel->job);
    int fd = channel->is_deaf ? -1 : channel->options.fd;
    int ready = job_poll_or_wake(&channel->job, fd, wanted == WANT_ROOM ? POLLOUT : 0);
    pthread_mutex_lock(&channel->lock);
    channel->asleep = false;
    pthread_mutex_unlock(&channel->lock);
    if (ready <= 0 || !(ready & (POLLERR | POLLHUP)))
        return ready < 0 ? ready : 0;
    int messages = zerocopy_drain(&channel->zerocopy);
    if (messages < 0)
        return messages;
    return messages > 0 ? give_back_freed(channel) : take_socket_error(channel, wanted);
}

static void tell_late_error(struct channel *channel, int error)
{
    pthread_mutex_lock(&channel->lock);
    channel->late_error = error;
    job_wake_owner(&channel->job);
    pthread_mutex_unlock(&channel->lock);
}

/* POLLERR or POLLHUP with an empty error queue. */
static int take_socket_error(struct channel *channel, int wanted)
{
    int error = zc_socket_error(channel->options.fd);
    if (error < 0 && channel->zerocopy.datagrams) {
        tell_late_error(channel, error);
        return 0;
    }
    if (error < 0)
        return error;
    if (wanted == WANT_ROOM) /* the send will say */
        return 0;
    if (channel->outstanding > 0) /* what is in flight goes nowhere, and nobody says why */
        return -ECONNRESET;
    channel->is_deaf = true;
    return 0;
}

/* The stream is over: every write that is not given back gets this error. Returns it. */
static int fail_all(struct channel *channel, int error)
{
    make_kernel_let_go(channel);
    channel->current = NO_SLOT;
    pthread_mutex_lock(&channel->lock);
    channel->ended = true;
    pthread_mutex_unlock(&channel->lock);
    while (next_queued(channel) != NO_SLOT)
        ;
    for (unsigned slot = 0; slot < channel->options.depth; slot++) {
        struct write *write = &channel->writes[slot];
        if (!write->is_outstanding)
            continue;
        if (write->error == 0)
            write->error = error;
        give_back(channel, (int)slot);
    }
    return job_fail(&channel->job, ZC_SIDE_SINK, error);
}

/*
 * Dissolving a TCP connection (connect(2), AF_UNSPEC) throws its send queue away, whose pages the
 * kernel then lets go of. vsock has no such thing: what it holds comes back when the other side has
 * taken it, or not at all.
 */
static void make_kernel_let_go(struct channel *channel)
{
    if (zerocopy_in_flight(&channel->zerocopy) == 0)
        return;
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int ignored = connect(channel->options.fd, &nowhere, sizeof(nowhere));
    (void)ignored;
    int64_t deadline = job_now() + RELEASE_NS;
    while (zerocopy_drain(&channel->zerocopy) >= 0 && zerocopy_in_flight(&channel->zerocopy) > 0 &&
           job_now() < deadline)
        poll(NULL, 0, RELEASE_PAUSE_MS);
}

/* --- queues */

static void push(struct queue *queue, int slot)
{
    queue->slots[queue->head++ % ZC_CHANNEL_DEPTH_MAX] = (uint16_t)slot;
}

static int pop(struct queue *queue)
{
    return queue->head == queue->tail ? NO_SLOT
                                      : queue->slots[queue->tail++ % ZC_CHANNEL_DEPTH_MAX];
}
