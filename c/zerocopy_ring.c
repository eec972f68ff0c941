/*
 * zerocopy_ring.c: chains of linked SENDMSG_ZC, and of SENDMSG where a copy is cheaper. Every send
 * has MSG_DONTWAIT, so that a chain is over when the call returns: what the socket had no room for
 * is short, or EAGAIN, and breaks it (MSG_WAITALL), which keeps a stream in order. Datagrams are
 * linked too, and stay in order as well. Only the notifications come later; they wake the job.
 */
#include "zerocopy_ring.h"

#include <errno.h>
#include <poll.h>

#include "errqueue.h"
#include "job.h"

/* What a completion is of: a send's number, and its place among those that are held. */
#define PLACE_BITS 12
/* A ring is locked memory too. What does not fit waits in the kernel. */
#define COMPLETIONS (2 * ENGINE_BATCH_MAX)

_Static_assert(ZEROCOPY_RING_SENDS_MAX <= 1 << PLACE_BITS, "a place has that many bits");

static int ring_open(struct loans *loans, int fd, const struct loans_options *options,
                     struct job *job);
static int ring_send(struct loans *loans, struct engine_send *sends, unsigned count);
static int queue_chain(struct zerocopy_ring *ring, const struct engine_send *sends, unsigned count);
static struct uring_sqe *queue_link(struct zerocopy_ring *ring, const struct engine_send *send);
static int run_chain(struct zerocopy_ring *ring);
static void take_back_rest(struct zerocopy_ring *ring);
static unsigned tell(const struct zerocopy_ring *ring, struct engine_send *sends);
static bool is_curable(const struct zerocopy_ring *ring, const struct zerocopy_ring_link *link);
static int send_otherwise(struct zerocopy_ring *ring, bool *is_alone);
static int take_less(struct zerocopy_ring *ring, unsigned fitting, bool *is_alone);
static int ring_drain(struct loans *loans, int ready);
static int reap(struct zerocopy_ring *ring);
static bool take_all(struct zerocopy_ring *ring);
static void take_result(struct zerocopy_ring *ring, const struct uring_completion *completion);
static void take_notification(struct zerocopy_ring *ring,
                              const struct uring_completion *completion);
static int read_errors(struct loans *loans);
static void ring_close(struct loans *loans);

const struct engine zerocopy_ring_engine = {
    .batch = ENGINE_BATCH_MAX,
    .open = ring_open,
    .send = ring_send,
    .drain = ring_drain,
    .close = ring_close,
};

static int ring_open(struct loans *loans, int fd, const struct loans_options *options,
                     struct job *job)
{
    struct zerocopy_ring *ring = (struct zerocopy_ring *)loans;
    ring->uring.fd = -1;
    int error = loans_open(loans, fd, options, job);
    if (error < 0)
        return error;
    ring->chain_max = ENGINE_BATCH_MAX;
    ring->reports_usage = true;
    ring->next = ring->place_count = 0;
    while (ring->place_count < ZEROCOPY_RING_SENDS_MAX) {
        ring->sends[ring->place_count].is_held = false;
        ring->places[ring->place_count] = (uint16_t)ring->place_count;
        ring->place_count++;
    }
    struct uring_options asked = {.entries = ENGINE_BATCH_MAX, .completions = COMPLETIONS};
    error = uring_open(&ring->uring, &asked);
    if (error == 0 && !uring_has(&ring->uring, URING_SENDMSG_ZC))
        error = -EOPNOTSUPP;
    /* poll(2) on a ring whose completions wait for its thread to ask does not wake that thread. */
    if (error == 0)
        error = uring_register_event(&ring->uring, job->wake_fd);
    return error == -ENOMEM ? -ENOBUFS : error;
}

static void ring_close(struct loans *loans)
{
    uring_close(&((struct zerocopy_ring *)loans)->uring);
}

/* --- sending */

static int ring_send(struct loans *loans, struct engine_send *sends, unsigned count)
{
    struct zerocopy_ring *ring = (struct zerocopy_ring *)loans;
    bool is_alone = false;
    int error = 0;
    while (error == 0) {
        error = queue_chain(ring, sends, count);
        if (error < 0)
            break;
        uint64_t copied_before = loans->job->stats.copied;
        error = run_chain(ring);
        if (error < 0)
            return error;
        loans_learn(loans, copied_before);
        unsigned told = tell(ring, sends);
        if (told > 0)
            return (int)told;
        error = send_otherwise(ring, &is_alone);
    }
    sends[0].result = error;
    return 1;
}

/* As many as will be sent wholly, and one of which more is left. Returns 0, or -EBUSY. */
static int queue_chain(struct zerocopy_ring *ring, const struct engine_send *sends, unsigned count)
{
    struct uring_sqe *before = NULL;
    bool has_all = true;
    ring->chain.length = ring->chain.results = 0;
    while (has_all && ring->chain.length < count && ring->chain.length < ring->chain_max) {
        const struct engine_send *send = &sends[ring->chain.length];
        struct uring_sqe *sqe = queue_link(ring, send);
        if (!sqe)
            break;
        has_all =
            ring->chain.links[ring->chain.length++].size == loans_size(send->parts, send->count);
        if (before) {
            before->flags = URING_LINK;
            if (!ring->loans.datagrams) /* what follows may share its packet */
                before->operation_flags |= MSG_MORE;
        }
        before = sqe;
    }
    return before ? 0 : -EBUSY;
}

static struct uring_sqe *queue_link(struct zerocopy_ring *ring, const struct engine_send *send)
{
    struct loans *loans = &ring->loans;
    struct zerocopy_ring_link *link = &ring->chain.links[ring->chain.length];
    size_t size = loans_size(send->parts, send->count);
    bool asks = size > 0 && loans_are_worthwhile(loans, size);
    if (asks && ring->place_count == 0)
        return NULL;
    *link = (struct zerocopy_ring_link){.buffer = send->buffer, .size = size, .asks = asks};
    if (asks)
        link->place = ring->places[--ring->place_count];
    if (asks && !loans->datagrams && loans->piece < size)
        link->size = loans->piece;
    link->message.msg_iov = link->parts;
    link->message.msg_iovlen = loans_cut(send->parts, send->count, link->size, link->parts);
    uint8_t opcode = asks ? URING_SENDMSG_ZC : URING_SENDMSG;
    struct uring_sqe *sqe =
        uring_prepare(&ring->uring, opcode, loans->fd, ring->next++ << PLACE_BITS | link->place);
    sqe->address = (uintptr_t)&link->message;
    sqe->length = 1;
    sqe->operation_flags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
    sqe->priority = asks && ring->reports_usage ? URING_REPORT_USAGE : 0;
    return sqe;
}

/* Until every send has its result, for which nothing has to be waited for. Returns 0, or -errno. */
static int run_chain(struct zerocopy_ring *ring)
{
    while (ring->chain.results < ring->chain.length) {
        int error = uring_enter(&ring->uring, ring->chain.length - ring->chain.results);
        if (error < 0 && error != -EINTR && error != -EBUSY)
            return error;
        take_back_rest(ring);
        if (ring->chain.length == 0)
            return -ENOMEM;
        take_all(ring);
    }
    bool is_whole = ring->chain.links[ring->chain.length - 1].result >= 0;
    if (is_whole && ring->chain.length == ring->chain_max && ring->chain_max < ENGINE_BATCH_MAX)
        ring->chain_max *= 2;
    return 0;
}

/*
 * A kernel that lacks memory may take a part of the chain. The rest would be a chain of its own,
 * and be sent even if the first one breaks.
 */
static void take_back_rest(struct zerocopy_ring *ring)
{
    uint32_t rest = uring_unsubmitted(&ring->uring);
    uring_take_back(&ring->uring, rest);
    ring->next -= rest;
    for (; rest > 0; rest--) {
        const struct zerocopy_ring_link *link = &ring->chain.links[--ring->chain.length];
        if (link->asks)
            ring->places[ring->place_count++] = link->place;
    }
}

/* The results, up to the first one that failed; not that, if it may be cured. */
static unsigned tell(const struct zerocopy_ring *ring, struct engine_send *sends)
{
    unsigned told = 0;
    for (; told < ring->chain.length; told++) {
        const struct zerocopy_ring_link *link = &ring->chain.links[told];
        if (link->result < 0 && is_curable(ring, link))
            break;
        sends[told].result = link->result;
        sends[told].is_copied = !link->is_held;
        if (link->result < 0)
            return told + 1;
    }
    return told;
}

static bool is_curable(const struct zerocopy_ring *ring, const struct zerocopy_ring_link *link)
{
    switch (link->result) {
    case -ECANCELED: /* the chain broke before it */
        return true;
    case -EINVAL: /* before 6.2 */
        return link->asks && ring->reports_usage;
    case -EOPNOTSUPP:
        return link->asks && !ring->loans.options.required;
    case -ENOMEM:
    case -ENOBUFS:
        return link->asks;
    default:
        return false;
    }
}

/* Nothing of the chain was sent. Returns 0 for another try, or what to tell of its first send. */
static int send_otherwise(struct zerocopy_ring *ring, bool *is_alone)
{
    const struct zerocopy_ring_link *links = ring->chain.links;
    unsigned first = 0; /* that is the reason */
    while (first < ring->chain.length && links[first].result == -ECANCELED)
        first++;
    if (first == ring->chain.length)
        return -EINTR;
    if (links[first].result == -ENOMEM || links[first].result == -ENOBUFS)
        return take_less(ring, first, is_alone);
    if (first > 0)
        ring->chain_max = first;
    else if (links[first].result == -EINVAL)
        ring->reports_usage = false;
    else
        ring->loans.refused = true;
    return 0;
}

/*
 * Locked memory is counted for a whole chain before any of it is sent, and for what failed until
 * its notification. The first `fitting` sends would have fitted. `is_alone`: nothing was in flight,
 * and no notification to come, when this was tried.
 */
static int take_less(struct zerocopy_ring *ring, unsigned fitting, bool *is_alone)
{
    struct loans *loans = &ring->loans;
    bool was_alone = *is_alone;
    stat_add(&loans->job->stats.retries, 1);
    int error = reap(ring);
    if (error < 0)
        return error;
    *is_alone = loans->in_flight == 0;
    if (fitting > 0)
        ring->chain_max = fitting;
    else if (!*is_alone)
        return -EBUSY;
    else if (was_alone)
        return loans_take_less(loans, ring->chain.links[0].size);
    return 0;
}

/* --- what comes back */

static int ring_drain(struct loans *loans, int ready)
{
    struct zerocopy_ring *ring = (struct zerocopy_ring *)loans;
    uint32_t before = loans->in_flight;
    int error = before > 0 ? reap(ring) : 0;
    if (error < 0)
        return error;
    int messages = (int)(before - loans->in_flight);
    if (!(ready & (POLLERR | POLLHUP)))
        return messages;
    int errors = read_errors(loans);
    return errors < 0 ? errors : messages + errors;
}

/* The kernel does some of what it has to do, and then has to be asked again. 0, or -errno. */
static int reap(struct zerocopy_ring *ring)
{
    uint64_t copied_before = ring->loans.job->stats.copied;
    do {
        int error = uring_enter(&ring->uring, 0);
        if (error < 0 && error != -EINTR && error != -EBUSY)
            return error;
    } while (take_all(ring));
    loans_learn(&ring->loans, copied_before);
    return 0;
}

/* Returns whether there was anything. */
static bool take_all(struct zerocopy_ring *ring)
{
    struct uring_completion completion;
    bool is_any = false;
    for (; uring_take(&ring->uring, &completion); is_any = true) {
        if (completion.flags & URING_NOTIFICATION)
            take_notification(ring, &completion);
        else
            take_result(ring, &completion);
    }
    return is_any;
}

/* A send that failed has let go of everything, though a notification follows. */
static void take_result(struct zerocopy_ring *ring, const struct uring_completion *completion)
{
    uint64_t number = completion->data >> PLACE_BITS;
    uint64_t index = number - (ring->next - ring->chain.length);
    if (index >= ring->chain.length)
        return;
    struct zerocopy_ring_link *link = &ring->chain.links[index];
    ring->chain.results++;
    link->result = completion->result;
    link->is_held = completion->result > 0 && completion->flags & URING_MORE;
    if (link->is_held) {
        ring->sends[link->place] = (struct zerocopy_ring_send){
            .number = number, .buffer = (uint16_t)link->buffer, .is_held = true};
        loans_lend(&ring->loans, link->buffer);
        return;
    }
    if (link->asks)
        ring->places[ring->place_count++] = link->place;
    if (completion->result >= 0)
        stat_add(&ring->loans.job->stats.fallbacks, 1);
}

static void take_notification(struct zerocopy_ring *ring, const struct uring_completion *completion)
{
    uint16_t place = completion->data & ((1u << PLACE_BITS) - 1);
    struct zerocopy_ring_send *send = &ring->sends[place];
    if (!send->is_held || send->number != completion->data >> PLACE_BITS)
        return;
    send->is_held = false;
    ring->places[ring->place_count++] = place;
    stat_add(&ring->loans.job->stats.notifications, 1);
    enum loans_usage usage = LOANS_UNCOPIED;
    if (!ring->reports_usage || completion->is_untold)
        usage = LOANS_UNKNOWN;
    else if ((uint32_t)completion->result & URING_USAGE_COPIED)
        usage = LOANS_COPIED;
    loans_let_go(&ring->loans, send->buffer, usage);
}

/* Of datagrams that are long sent. Others' completions are not ours. */
static int read_errors(struct loans *loans)
{
    struct zc_notice notice;
    int messages = 0, error;
    for (; (error = errqueue_read(loans->fd, &notice)) == 0; messages++)
        loans_hear(loans, &notice);
    return error == -EAGAIN ? messages : error == -EBADMSG ? -EPROTO : error;
}
