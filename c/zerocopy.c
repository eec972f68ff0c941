/* zerocopy.c: the books of MSG_ZEROCOPY: ids out, ranges of ids back, in any order. */
#include "zerocopy.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

#include "errqueue.h"
#include "job.h"
#include "notices.h"

#define BUFFER_RELEASED UINT16_MAX
/* Locked memory is counted in pages (RLIMIT_MEMLOCK): no piece is smaller. */
#define PIECE_MIN 4096u
/* `adapts` does not go below this: there a copy is cheaper than its bookkeeping. */
#define PIECE_ADAPTED_MIN (16u << 10)
/* A piece that was halved for lack of memory grows again after so many sends. */
#define SENDS_PER_GROWTH 1024
/* So many completions, all of them copied, and a kernel that copies is believed; */
#define PAUSE_AFTER 16
/* so many, when it was believed before. */
#define PAUSE_AGAIN_AFTER 4
/* Sends to copy until the next try: at first, and at most after doubling each time. */
#define PAUSE_MIN 256
#define PAUSE_MAX 65536
#define SENDS_PER_DRAIN 16

static bool is_worth_asking(struct zerocopy *zerocopy, size_t size);
static bool take_less(struct zerocopy *zerocopy, size_t size);
static ssize_t send_asking(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                           size_t count, size_t size);
static ssize_t send_copying(struct zerocopy *zerocopy, const struct iovec *parts, size_t count);
static ssize_t send_once(const struct zerocopy *zerocopy, const struct iovec *parts, size_t count,
                         size_t limit, int flags);
static size_t size_of(const struct iovec *parts, size_t count);
static bool is_network_error(const struct zc_notice *notice);
static int take_notice(struct zerocopy *zerocopy, struct zc_notice *notice);
static void let_go(struct zerocopy *zerocopy, uint16_t *buffer, bool is_first, bool copied);
static void decide(struct zerocopy *zerocopy);

int zerocopy_open(struct zerocopy *zerocopy, int fd, const struct zerocopy_options *options,
                  struct job *job)
{
    memset(zerocopy, 0, sizeof(*zerocopy));
    zerocopy->job = job;
    zerocopy->fd = fd;
    zerocopy->options = *options;
    zerocopy->piece = options->piece;
    zerocopy->pause.needed = PAUSE_AFTER;
    zerocopy->pause.length = PAUSE_MIN;
    int type, on = 0, error = 0;
    socklen_t length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        error = -errno;
    else
        zerocopy->datagrams = type != SOCK_STREAM;
    length = sizeof(on);
    if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, &length) == 0 && on)
        error = -EBUSY;
    on = 1;
    if (error == 0 && setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
        error = errno == 524 ? -EOPNOTSUPP : -errno; /* ENOTSUPP: old kernels leak their own */
    zerocopy->refused = error < 0;
    return error;
}

ssize_t zerocopy_send(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                      size_t count)
{
    size_t size = size_of(parts, count);
    if (!is_worth_asking(zerocopy, size))
        return send_copying(zerocopy, parts, count);
    for (;;) {
        ssize_t sent = send_asking(zerocopy, buffer, parts, count, size);
        if (sent != -ENOBUFS)
            return sent;
        stat_add(&zerocopy->job->stats.retries, 1);
        int messages = zerocopy_drain(zerocopy);
        if (messages < 0)
            return messages;
        if (messages > 0)
            continue;
        if (zerocopy_in_flight(zerocopy) > 0)
            return -EBUSY;
        if (take_less(zerocopy, size))
            continue;
        if (zerocopy->options.required)
            return -ENOBUFS;
        zerocopy->pause.left = PAUSE_MIN;
        return send_copying(zerocopy, parts, count);
    }
}

static bool is_worth_asking(struct zerocopy *zerocopy, size_t size)
{
    if (zerocopy->options.required)
        return true;
    if (zerocopy->refused || size < zerocopy->options.worthwhile)
        return false;
    if (zerocopy->pause.left == 0)
        return true;
    zerocopy->pause.left--;
    return false;
}

/* Halves the piece, for nothing in flight would ever make room. False: it is small already. */
static bool take_less(struct zerocopy *zerocopy, size_t size)
{
    uint64_t piece = zerocopy->piece < size ? zerocopy->piece : size;
    uint64_t least = zerocopy->options.required ? PIECE_MIN : zerocopy->options.worthwhile;
    if (zerocopy->datagrams || piece / 2 < least || piece / 2 < PIECE_MIN)
        return false;
    zerocopy->piece = piece / 2;
    return true;
}

static ssize_t send_asking(struct zerocopy *zerocopy, unsigned buffer, const struct iovec *parts,
                           size_t count, size_t size)
{
    if (zerocopy_in_flight(zerocopy) == ZEROCOPY_IDS_MAX)
        return -ENOBUFS;
    size_t limit = zerocopy->datagrams ? size : zerocopy->piece;
    ssize_t sent = send_once(zerocopy, parts, count, limit, MSG_ZEROCOPY);
    if (sent > 0)
        zerocopy_note_send(zerocopy, buffer);
    if (sent == -ENOMEM) /* vsock says ENOMEM for the same thing */
        return -ENOBUFS;
    if (sent == -EOPNOTSUPP && !zerocopy->options.required) { /* kernel TLS */
        zerocopy->refused = true;
        return send_copying(zerocopy, parts, count);
    }
    return sent;
}

static ssize_t send_copying(struct zerocopy *zerocopy, const struct iovec *parts, size_t count)
{
    ssize_t sent = send_once(zerocopy, parts, count, SIZE_MAX, 0);
    if (sent >= 0)
        stat_add(&zerocopy->job->stats.fallbacks, 1);
    return sent;
}

/* The first `limit` bytes of the parts, in one call. */
static ssize_t send_once(const struct zerocopy *zerocopy, const struct iovec *parts, size_t count,
                         size_t limit, int flags)
{
    struct iovec first[ZEROCOPY_PARTS_MAX];
    size_t used = 0;
    for (; used < count && used < ZEROCOPY_PARTS_MAX && limit > 0; used++) {
        first[used] = parts[used];
        if (first[used].iov_len > limit)
            first[used].iov_len = limit;
        limit -= first[used].iov_len;
    }
    struct msghdr message = {.msg_iov = first, .msg_iovlen = used};
    ssize_t sent = sendmsg(zerocopy->fd, &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static size_t size_of(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* A call takes one id, however much of it was sent. */
void zerocopy_note_send(struct zerocopy *zerocopy, unsigned buffer)
{
    struct zerocopy_id *id = &zerocopy->ids[zerocopy->next % ZEROCOPY_IDS_MAX];
    id->buffer = (uint16_t)buffer;
    id->sent_ns = job_now();
    zerocopy->buffers[buffer].in_flight++;
    zerocopy->next++;
    zerocopy->sends_since_drain++;
    stat_add(&zerocopy->job->stats.sends, 1);
    bool is_halved = zerocopy->piece < zerocopy->options.piece && !zerocopy->options.adapts;
    if (is_halved && ++zerocopy->sends_since_halving >= SENDS_PER_GROWTH) {
        zerocopy->piece *= 2;
        zerocopy->sends_since_halving = 0;
    }
}

void zerocopy_reuse(struct zerocopy *zerocopy, unsigned buffer)
{
    bool is_listed = zerocopy->buffers[buffer].is_listed;
    zerocopy->buffers[buffer] = (struct zerocopy_buffer){.is_listed = is_listed};
}

int zerocopy_next_freed(struct zerocopy *zerocopy)
{
    if (zerocopy->freed_count == 0)
        return -1;
    uint16_t buffer = zerocopy->freed[--zerocopy->freed_count];
    zerocopy->buffers[buffer].is_listed = false;
    return buffer;
}

int zerocopy_drain_sometimes(struct zerocopy *zerocopy)
{
    bool is_learning = zerocopy->job->stats.completions < PAUSE_AFTER;
    if (!is_learning && zerocopy->sends_since_drain < SENDS_PER_DRAIN)
        return 0;
    return zerocopy_drain(zerocopy);
}

int zerocopy_drain(struct zerocopy *zerocopy)
{
    zerocopy->sends_since_drain = 0;
    uint64_t copied_before = zerocopy->job->stats.copied;
    int messages = 0, error = 0;
    struct zc_notice notice;
    while (error == 0 && (error = errqueue_read(zerocopy->fd, &notice)) == 0) {
        messages++;
        error = take_notice(zerocopy, &notice);
    }
    if (error != -EAGAIN)
        return error == -EBADMSG ? -EPROTO : error;
    bool copied_again = zerocopy->job->stats.copied > copied_before;
    if (zerocopy->options.adapts && copied_again && zerocopy->piece > PIECE_ADAPTED_MIN)
        zerocopy->piece /= 2;
    decide(zerocopy);
    return messages;
}

static bool is_network_error(const struct zc_notice *notice)
{
    return notice->error != 0 &&
           (notice->origin == SO_EE_ORIGIN_LOCAL || notice->origin == SO_EE_ORIGIN_ICMP ||
            notice->origin == SO_EE_ORIGIN_ICMP6);
}

static int take_notice(struct zerocopy *zerocopy, struct zc_notice *notice)
{
    int error = 0;
    bool is_release = notice->origin == SO_EE_ORIGIN_ZEROCOPY && notice->error == 0;
    /* Where the sends of others are told of too (-EBUSY when it was opened), none is ours. */
    if (is_release && !(zerocopy->refused && zerocopy_in_flight(zerocopy) == 0)) {
        const struct zerocopy_id *first = &zerocopy->ids[notice->info % ZEROCOPY_IDS_MAX];
        int64_t latency_ns = notice->read_ns - first->sent_ns;
        error = zerocopy_release(zerocopy, notice->info, notice->data,
                                 notice->code & SO_EE_CODE_ZEROCOPY_COPIED);
        if (error == 0)
            notice->latency_ns = latency_ns;
    }
    if (is_network_error(notice))
        zerocopy->late_error = -(int)notice->error;
    if (error == 0 && zerocopy->job->notices)
        error = notices_put(zerocopy->job, notice);
    return error;
}

int zerocopy_release(struct zerocopy *zerocopy, uint32_t low, uint32_t high, bool copied)
{
    uint32_t first = low - zerocopy->oldest; /* distances wrap as the ids do */
    uint32_t last = high - zerocopy->oldest;
    if (first > last || last >= zerocopy_in_flight(zerocopy))
        return -EPROTO;
    struct zc_stats *stats = &zerocopy->job->stats;
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
    struct zc_stats *stats = &zerocopy->job->stats;
    struct zerocopy_buffer *held = &zerocopy->buffers[*buffer];
    stat_add(&stats->completions, 1);
    zerocopy->pause.completions++;
    if (!is_first) {
        stat_add(&stats->unknown, 1);
        held->unknown++;
    } else if (copied) {
        stat_add(&stats->copied, 1);
        held->copied++;
    } else {
        zerocopy->pause.uncopied++;
        held->uncopied++;
    }
    if (--held->in_flight == 0 && !held->is_listed) {
        held->is_listed = true;
        zerocopy->freed[zerocopy->freed_count++] = *buffer;
    }
    *buffer = BUFFER_RELEASED;
}

/* Whether to go on asking: when the kernel copies anyway, asking only costs. */
static void decide(struct zerocopy *zerocopy)
{
    struct zerocopy_pause *pause = &zerocopy->pause;
    bool is_settled = pause->left == 0 && !zerocopy->options.required;
    if (is_settled && pause->completions < pause->needed)
        return;
    if (is_settled && pause->uncopied == 0) {
        pause->left = pause->length;
        pause->length = pause->length < PAUSE_MAX / 2 ? pause->length * 2 : PAUSE_MAX;
        pause->needed = PAUSE_AGAIN_AFTER;
    } else if (is_settled) {
        pause->length = PAUSE_MIN;
        pause->needed = PAUSE_AFTER;
    }
    pause->completions = pause->uncopied = 0;
}
