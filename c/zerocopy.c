/* zerocopy.c: the books of MSG_ZEROCOPY: ids out, ranges of ids back, in any order. */
#include "zerocopy.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <sys/socket.h>

#include "engine.h"
#include "errqueue.h"
#include "job.h"
#include "notices.h"

#define BUFFER_RELEASED UINT16_MAX
#define SENDS_PER_DRAIN 16
/* Until there were so many completions, they are looked for after every send. */
#define COMPLETIONS_TO_LEARN 16

static ssize_t send_asking(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                           size_t count, size_t size);
static ssize_t send_copying(struct zerocopy *zerocopy, const struct iovec *parts, size_t count);
static ssize_t send_once(const struct zerocopy *zerocopy, const struct iovec *parts, size_t count,
                         size_t limit, int flags);
static int take_notice(struct zerocopy *zerocopy, struct zc_notice *notice);
static void let_go(struct zerocopy *zerocopy, uint16_t *buffer, bool is_first, bool copied);

int zerocopy_open(struct zerocopy *zerocopy, int fd, const struct loans_options *options,
                  struct job *job)
{
    int on = 0, error = loans_open(&zerocopy->loans, fd, options, job);
    zerocopy->oldest = zerocopy->next = zerocopy->sends_since_drain = 0;
    socklen_t length = sizeof(on);
    if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, &length) == 0 && on)
        error = -EBUSY;
    on = 1;
    if (error == 0 && setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
        error = errno == 524 ? -EOPNOTSUPP : -errno; /* ENOTSUPP: old kernels leak their own */
    zerocopy->loans.refused = error < 0;
    return error;
}

ssize_t zerocopy_send(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                      size_t count)
{
    struct loans *loans = &zerocopy->loans;
    size_t size = loans_size(parts, count);
    while (loans_are_worthwhile(loans, size)) {
        ssize_t sent = send_asking(zerocopy, buffer, parts, count, size);
        if (sent != -ENOBUFS)
            return sent;
        stat_add(&loans->job->stats.retries, 1);
        int messages = zerocopy_drain(zerocopy);
        if (messages < 0)
            return messages;
        if (messages > 0)
            continue;
        if (zerocopy_in_flight(zerocopy) > 0)
            return -EBUSY;
        int error = loans_take_less(loans, size);
        if (error < 0)
            return error;
    }
    return send_copying(zerocopy, parts, count);
}

static ssize_t send_asking(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                           size_t count, size_t size)
{
    struct loans *loans = &zerocopy->loans;
    if (zerocopy_in_flight(zerocopy) == ZEROCOPY_IDS_MAX)
        return -ENOBUFS;
    size_t limit = loans->datagrams ? size : loans->piece;
    ssize_t sent = send_once(zerocopy, parts, count, limit, MSG_ZEROCOPY);
    if (sent > 0)
        zerocopy_note_send(zerocopy, buffer);
    if (sent == -ENOMEM) /* vsock says ENOMEM for the same thing */
        return -ENOBUFS;
    if (sent == -EOPNOTSUPP && !loans->options.required) { /* kernel TLS */
        loans->refused = true;
        return send_copying(zerocopy, parts, count);
    }
    return sent;
}

static ssize_t send_copying(struct zerocopy *zerocopy, const struct iovec *parts, size_t count)
{
    ssize_t sent = send_once(zerocopy, parts, count, SIZE_MAX, 0);
    if (sent >= 0)
        stat_add(&zerocopy->loans.job->stats.fallbacks, 1);
    return sent;
}

/* The first `limit` bytes of the parts, in one call. */
static ssize_t send_once(const struct zerocopy *zerocopy, const struct iovec *parts, size_t count,
                         size_t limit, int flags)
{
    struct iovec first[LOANS_PARTS_MAX];
    struct msghdr message = {.msg_iov = first, .msg_iovlen = loans_cut(parts, count, limit, first)};
    ssize_t sent = sendmsg(zerocopy->loans.fd, &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* A call takes one id, however much of it was sent. */
void zerocopy_note_send(struct zerocopy *zerocopy, unsigned buffer)
{
    struct zerocopy_id *id = &zerocopy->ids[zerocopy->next % ZEROCOPY_IDS_MAX];
    id->buffer = (uint16_t)buffer;
    id->sent_ns = job_now();
    zerocopy->next++;
    zerocopy->sends_since_drain++;
    loans_lend(&zerocopy->loans, buffer);
}

int zerocopy_drain_sometimes(struct zerocopy *zerocopy)
{
    bool is_learning = zerocopy->loans.job->stats.completions < COMPLETIONS_TO_LEARN;
    if (!is_learning && zerocopy->sends_since_drain < SENDS_PER_DRAIN)
        return 0;
    return zerocopy_drain(zerocopy);
}

int zerocopy_drain(struct zerocopy *zerocopy)
{
    zerocopy->sends_since_drain = 0;
    uint64_t copied_before = zerocopy->loans.job->stats.copied;
    int messages = 0, error = 0;
    struct zc_notice notice;
    while (error == 0 && (error = errqueue_read(zerocopy->loans.fd, &notice)) == 0) {
        messages++;
        error = take_notice(zerocopy, &notice);
    }
    if (error != -EAGAIN)
        return error == -EBADMSG ? -EPROTO : error;
    loans_learn(&zerocopy->loans, copied_before);
    return messages;
}

static int take_notice(struct zerocopy *zerocopy, struct zc_notice *notice)
{
    int error = 0;
    bool is_release = notice->origin == SO_EE_ORIGIN_ZEROCOPY && notice->error == 0;
    /* Where the sends of others are told of too (-EBUSY when it was opened), none is ours. */
    if (is_release && !(zerocopy->loans.refused && zerocopy_in_flight(zerocopy) == 0)) {
        const struct zerocopy_id *first = &zerocopy->ids[notice->info % ZEROCOPY_IDS_MAX];
        int64_t latency_ns = notice->read_ns - first->sent_ns;
        error = zerocopy_release(zerocopy, notice->info, notice->data,
                                 notice->code & SO_EE_CODE_ZEROCOPY_COPIED);
        if (error == 0)
            notice->latency_ns = latency_ns;
    }
    loans_hear(&zerocopy->loans, notice);
    if (error == 0 && zerocopy->loans.job->notices)
        error = notices_put(zerocopy->loans.job, notice);
    return error;
}

int zerocopy_release(struct zerocopy *zerocopy, uint32_t low, uint32_t high, bool copied)
{
    uint32_t first = low - zerocopy->oldest; /* distances wrap as the ids do */
    uint32_t last = high - zerocopy->oldest;
    if (first > last || last >= zerocopy_in_flight(zerocopy))
        return -EPROTO;
    struct zc_stats *stats = &zerocopy->loans.job->stats;
    stat_add(&stats->notifications, 1);
    stat_add(&stats->joined, first != last);
    stat_add(&stats->unordered, first != 0);
    for (uint32_t distance = first; distance <= last; distance++) {
        uint32_t id = zerocopy->oldest + distance;
        let_go(zerocopy, &zerocopy->ids[id % ZEROCOPY_IDS_MAX].buffer, id == low, copied);
    }
    while (zerocopy->oldest != zerocopy->next &&
           zerocopy->ids[zerocopy->oldest % ZEROCOPY_IDS_MAX].buffer == BUFFER_RELEASED)
        zerocopy->oldest++;
    return 0;
}

/*
 * Of a joined range the kernel keeps the first id's flag alone (skb_zerocopy_notify_extend in
 * net/core/skbuff.c): of the others it is not known.
 */
static void let_go(struct zerocopy *zerocopy, uint16_t *buffer, bool is_first, bool copied)
{
    if (*buffer == BUFFER_RELEASED)
        return;
    enum loans_usage usage = copied ? LOANS_COPIED : LOANS_UNCOPIED;
    loans_let_go(&zerocopy->loans, *buffer, is_first ? usage : LOANS_UNKNOWN);
    *buffer = BUFFER_RELEASED;
}

/* --- a channel's engine */

static int engine_open(struct loans *loans, int fd, const struct loans_options *options,
                       struct job *job)
{
    int error = zerocopy_open((struct zerocopy *)loans, fd, options, job);
    bool is_no_socket = error == -EBADF || error == -ENOTSOCK;
    return options->required || is_no_socket ? error : 0;
}

static int engine_send(struct loans *loans, struct engine_send *sends, unsigned count)
{
    (void)count;
    struct zerocopy *zerocopy = (struct zerocopy *)loans;
    uint64_t sends_before = loans->job->stats.sends;
    sends->result = zerocopy_send(zerocopy, sends->buffer, sends->parts, sends->count);
    sends->is_copied = loans->job->stats.sends == sends_before;
    int messages = sends->result < 0 ? 0 : zerocopy_drain_sometimes(zerocopy);
    return messages < 0 ? messages : 1;
}

static int engine_drain(struct loans *loans, int ready)
{
    return ready & (POLLERR | POLLHUP) ? zerocopy_drain((struct zerocopy *)loans) : 0;
}

static void engine_close(struct loans *loans)
{
    (void)loans;
}

const struct engine zerocopy_engine = {
    .batch = 1,
    .open = engine_open,
    .send = engine_send,
    .drain = engine_drain,
    .close = engine_close,
};
