/*
 * channel.c: a job that sends what its owner queues, and gives each write back once the kernel has
 * let go of its memory. The owner's calls and the job's thread meet under one lock, in three
 * queues of slots: free, queued, done. A slot's number is its buffer's in the engine's books.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "engine.h"
#include "job.h"
#include "zerocopy.h"
#include "zerocopy_ring.h"

/* How long to wait for the kernel to let go after an error, before memory is given up for lost. */
#define RELEASE_NS 100000000
#define RELEASE_PAUSE_MS 1
#define NO_SLOT -1

struct write {
    struct iovec parts[LOANS_PARTS_MAX];
    unsigned first, count; /* parts that are not wholly sent: first to count - 1 */
    uint64_t tag;
    uint64_t size, sent; /* bytes */
    uint32_t copies;     /* sends for which the kernel was not asked */
    int64_t queued_ns, done_ns;
    int error;
    enum { IDLE, SENDING, SENT } state; /* SENT: wholly, or failed, but not given back */
};

struct queue {
    uint16_t slots[ZC_CHANNEL_DEPTH_MAX];
    unsigned head, tail; /* count up */
};

struct channel {
    struct job job;
    struct zc_channel options;
    const struct engine *engine;
    union {
        struct loans loans; /* each begins with it */
        struct zerocopy zerocopy;
        struct zerocopy_ring ring;
    };
    struct write writes[ZC_CHANNEL_DEPTH_MAX];
    struct queue sending; /* the thread's: slots that are SENDING, in their order */
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
static int send_all(struct channel *channel);
static int send_queued(struct channel *channel);
static int send_some(struct channel *channel);
static int take_result(struct channel *channel, const struct engine_send *send);
static void finish_sending(struct channel *channel);
static bool ends_stream(const struct channel *channel, int error);
static void take_queued(struct channel *channel, unsigned capacity);
static void advance(struct write *write, size_t sent);
static int give_back_freed(struct channel *channel);
static void give_back(struct channel *channel, int slot);
static bool is_over(struct channel *channel);
static int await_news(struct channel *channel, int wanted);
static void tell_late_error(struct channel *channel, int error);
static int take_socket_error(struct channel *channel, int wanted);
static void fail_all(struct channel *channel, int error);
static void make_kernel_let_go(struct channel *channel);
static void push(struct queue *queue, int slot);
static int pop(struct queue *queue);
static unsigned length_of(const struct queue *queue);

/* --- the owner's side */

int64_t zc_channel_start(const struct zc_channel *options)
{
    if (options->depth < 1 || options->depth > ZC_CHANNEL_DEPTH_MAX || options->piece == 0)
        return -EINVAL;
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->options = *options;
    channel->engine =
        options->flags & ZC_CHANNEL_IO_URING ? &zerocopy_ring_engine : &zerocopy_engine;
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
    if (tag == ZC_CHANNEL_NO_TAG || count > LOANS_PARTS_MAX)
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
        const struct loans_buffer *buffer = &channel->loans.buffers[slot];
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
    int end = channel_open(channel);
    if (end == 0)
        end = send_all(channel);
    if (end < 0)
        fail_all(channel, end);
    channel->engine->close(&channel->loans);
    return end < 0 ? job_fail(job, ZC_SIDE_SINK, end) : end;
}

static int channel_open(struct channel *channel)
{
    const struct zc_channel *asked = &channel->options;
    struct loans_options options = {
        .piece = asked->piece,
        .worthwhile = asked->flags & ZC_CHANNEL_COPY ? UINT64_MAX : asked->worthwhile,
        .required = asked->flags & ZC_CHANNEL_REQUIRED,
        .adapts = asked->flags & ZC_CHANNEL_ADAPT,
    };
    return channel->engine->open(&channel->loans, asked->fd, &options, &channel->job);
}

/* Returns ZC_END_EOF, or -errno. */
static int send_all(struct channel *channel)
{
    for (;;) {
        int wanted = send_queued(channel);
        int error = wanted < 0 ? wanted : give_back_freed(channel);
        if (error == 0 && is_over(channel))
            return ZC_END_EOF;
        if (error == 0)
            error = await_news(channel, wanted);
        if (error < 0)
            return error;
    }
}

#define WANT_NOTHING 0
#define WANT_ROOM 1        /* in the socket */
#define WANT_COMPLETIONS 2 /* something to let go of */

/* Sends until there is nothing queued, or no room. Returns a WANT_, or -errno: the stream's end. */
static int send_queued(struct channel *channel)
{
    for (;;) {
        unsigned sending = length_of(&channel->sending);
        if (sending < channel->engine->batch)
            take_queued(channel, channel->engine->batch - sending);
        if (length_of(&channel->sending) == 0)
            return WANT_NOTHING;
        int error = job_check(&channel->job);
        if (error == 0)
            error = send_some(channel);
        if (error == -EAGAIN)
            return WANT_ROOM;
        if (error == -EBUSY)
            return WANT_COMPLETIONS;
        if (error == 0)
            error = give_back_freed(channel);
        if (error < 0)
            return error;
    }
}

/* One call for what is being sent. Returns 0, or what stopped it: -errno. */
static int send_some(struct channel *channel)
{
    struct engine_send sends[ENGINE_BATCH_MAX];
    unsigned count = 0, queued = length_of(&channel->sending);
    for (; count < queued; count++) {
        unsigned slot =
            channel->sending.slots[(channel->sending.tail + count) % ZC_CHANNEL_DEPTH_MAX];
        const struct write *write = &channel->writes[slot];
        if (write->size == 0 && !channel->loans.datagrams)
            break;
        sends[count] = (struct engine_send){.buffer = slot,
                                            .parts = &write->parts[write->first],
                                            .count = write->count - write->first};
    }
    if (count == 0) { /* nothing to send at all */
        finish_sending(channel);
        return 0;
    }
    int told = channel->engine->send(&channel->loans, sends, count);
    stat_add(&channel->job.stats.calls, 1);
    int error = told < 0 ? told : 0;
    for (int each = 0; each < told && error == 0; each++)
        error = take_result(channel, &sends[each]);
    return error;
}

/* What became of the first write that is being sent. */
static int take_result(struct channel *channel, const struct engine_send *send)
{
    struct write *write = &channel->writes[send->buffer];
    int error = send->result < 0 ? (int)send->result : 0;
    if (error == -EINTR)
        return job_check(&channel->job);
    if (error == -EAGAIN || error == -EBUSY || (error < 0 && ends_stream(channel, error)))
        return error;
    if (error == 0) {
        advance(write, (size_t)send->result);
        write->copies += write->size > 0 && send->is_copied;
        stat_add(&channel->job.stats.bytes, (uint64_t)send->result);
    }
    write->error = error;
    if (write->sent == write->size || error < 0)
        finish_sending(channel);
    return 0;
}

/*
 * The first write that is being sent is over. If the kernel has let go of it already, but only
 * since, then give_back_freed comes upon it.
 */
static void finish_sending(struct channel *channel)
{
    int slot = pop(&channel->sending);
    channel->writes[slot].state = SENT;
    if (loans_is_free(&channel->loans, (unsigned)slot) && !channel->loans.buffers[slot].is_listed)
        give_back(channel, slot);
}

/* A stream ends with any error; a datagram's is its own, unless the socket itself is the reason. */
static bool ends_stream(const struct channel *channel, int error)
{
    return !channel->loans.datagrams || error == -ECANCELED || error == -EBADF || error == -EPIPE ||
           error == -ENOTSOCK || error == -EPROTO;
}

/* Goes on with up to `capacity` of the writes that are queued. */
static void take_queued(struct channel *channel, unsigned capacity)
{
    int slot;
    pthread_mutex_lock(&channel->lock);
    while (capacity-- > 0 && (slot = pop(&channel->queued)) != NO_SLOT) {
        loans_reuse(&channel->loans, (unsigned)slot);
        push(&channel->sending, slot);
        channel->writes[slot].state = SENDING;
        channel->outstanding++;
        channel->is_deaf = false;
    }
    pthread_mutex_unlock(&channel->lock);
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
    struct loans *loans = &channel->loans;
    if (loans->datagrams && loans->late_error < 0) {
        tell_late_error(channel, loans->late_error);
        loans->late_error = 0;
    }
    if (loans->freed_count == 0)
        return 0;
    int error = loans->datagrams ? 0 : zc_socket_error(channel->options.fd);
    if (error < 0)
        return error;
    int slot;
    while ((slot = loans_next_freed(loans)) >= 0) {
        if (channel->writes[slot].state == SENT && loans_is_free(loans, (unsigned)slot))
            give_back(channel, slot);
    }
    return 0;
}

static void give_back(struct channel *channel, int slot)
{
    channel->writes[slot].state = IDLE;
    channel->writes[slot].done_ns = job_now();
    channel->outstanding--;
    pthread_mutex_lock(&channel->lock);
    bool was_empty = length_of(&channel->done) == 0;
    push(&channel->done, slot);
    if (was_empty) /* who finds something takes all of it */
        job_wake_owner(&channel->job);
    pthread_mutex_unlock(&channel->lock);
}

static bool is_over(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    bool is_queued = length_of(&channel->queued) > 0;
    channel->ended = channel->ending && !is_queued && channel->outstanding == 0;
    bool ended = channel->ended;
    pthread_mutex_unlock(&channel->lock);
    return ended;
}

/* Waits for writes, room or completions, and reads what the error queue has. 0, or -errno. */
static int await_news(struct channel *channel, int wanted)
{
    pthread_mutex_lock(&channel->lock);
    bool has_work = wanted == WANT_NOTHING && (length_of(&channel->queued) > 0 ||
                                               (channel->ending && channel->outstanding == 0));
    channel->asleep = !has_work;
    pthread_mutex_unlock(&channel->lock);
    if (has_work)
        return job_check(&channel->job);
    int fd = channel->is_deaf ? -1 : channel->options.fd;
    int ready, messages = 0;
    do { /* what could not be sent is not tried again for a mere wake-up */
        ready = job_poll_or_wake(&channel->job, fd, wanted == WANT_ROOM ? POLLOUT : 0);
        messages = ready < 0 ? ready : channel->engine->drain(&channel->loans, ready);
    } while (wanted != WANT_NOTHING && messages == 0 && ready == 0);
    pthread_mutex_lock(&channel->lock);
    channel->asleep = false;
    pthread_mutex_unlock(&channel->lock);
    if (messages != 0)
        return messages < 0 ? messages : give_back_freed(channel);
    return ready & (POLLERR | POLLHUP) ? take_socket_error(channel, wanted) : 0;
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
    if (error < 0 && channel->loans.datagrams) {
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

/* The stream is over: every write that is not given back gets this error. */
static void fail_all(struct channel *channel, int error)
{
    make_kernel_let_go(channel);
    pthread_mutex_lock(&channel->lock);
    channel->ended = true;
    pthread_mutex_unlock(&channel->lock);
    take_queued(channel, channel->options.depth);
    for (unsigned slot = 0; slot < channel->options.depth; slot++) {
        struct write *write = &channel->writes[slot];
        if (write->state == IDLE)
            continue;
        if (write->error == 0)
            write->error = error;
        give_back(channel, (int)slot);
    }
}

/*
 * Dissolving a TCP connection (connect(2), AF_UNSPEC) throws its send queue away, whose pages the
 * kernel then lets go of. vsock has no such thing: what it holds comes back when the other side has
 * taken it, or not at all.
 */
static void make_kernel_let_go(struct channel *channel)
{
    const struct loans *loans = &channel->loans;
    if (loans->in_flight == 0)
        return;
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int ignored = connect(channel->options.fd, &nowhere, sizeof(nowhere));
    (void)ignored;
    int64_t deadline = job_now() + RELEASE_NS;
    while (channel->engine->drain(&channel->loans, POLLERR) >= 0 && loans->in_flight > 0 &&
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
    return length_of(queue) == 0 ? NO_SLOT : queue->slots[queue->tail++ % ZC_CHANNEL_DEPTH_MAX];
}

static unsigned length_of(const struct queue *queue)
{
    return queue->head - queue->tail;
}
