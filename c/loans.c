/* loans.c: the books of what the kernel holds, and when to stop lending. */
#include "loans.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>
#include <sys/socket.h>

#include "job.h"

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

static void decide(struct loans *loans);

int loans_open(struct loans *loans, int fd, const struct loans_options *options, struct job *job)
{
    memset(loans, 0, sizeof(*loans));
    loans->job = job;
    loans->fd = fd;
    loans->options = *options;
    loans->piece = options->piece;
    loans->pause.needed = PAUSE_AFTER;
    loans->pause.length = PAUSE_MIN;
    int type;
    socklen_t length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return -errno;
    loans->datagrams = type != SOCK_STREAM;
    return 0;
}

bool loans_are_worthwhile(struct loans *loans, size_t size)
{
    if (loans->options.required)
        return true;
    if (loans->refused || size < loans->options.worthwhile)
        return false;
    if (loans->pause.left == 0)
        return true;
    loans->pause.left--;
    return false;
}

int loans_take_less(struct loans *loans, size_t size)
{
    uint64_t piece = loans->piece < size ? loans->piece : size;
    uint64_t least = loans->options.required ? PIECE_MIN : loans->options.worthwhile;
    if (!loans->datagrams && piece / 2 >= least && piece / 2 >= PIECE_MIN) {
        loans->piece = piece / 2;
        return 0;
    }
    if (loans->options.required)
        return -ENOBUFS;
    loans->pause.left = PAUSE_MIN;
    return 0;
}

void loans_lend(struct loans *loans, unsigned buffer)
{
    loans->buffers[buffer].in_flight++;
    loans->in_flight++;
    stat_add(&loans->job->stats.sends, 1);
    bool is_halved = loans->piece < loans->options.piece && !loans->options.adapts;
    if (is_halved && ++loans->sends_since_halving >= SENDS_PER_GROWTH) {
        bool is_whole = loans->piece >= loans->options.piece / 2;
        loans->piece = is_whole ? loans->options.piece : 2 * loans->piece;
        loans->sends_since_halving = 0;
    }
}

void loans_let_go(struct loans *loans, unsigned buffer, enum loans_usage usage)
{
    struct zc_stats *stats = &loans->job->stats;
    struct loans_buffer *held = &loans->buffers[buffer];
    stat_add(&stats->completions, 1);
    loans->pause.completions++;
    switch (usage) {
    case LOANS_UNCOPIED:
        loans->pause.uncopied++;
        held->uncopied++;
        break;
    case LOANS_COPIED:
        stat_add(&stats->copied, 1);
        held->copied++;
        break;
    case LOANS_UNKNOWN:
        stat_add(&stats->unknown, 1);
        held->unknown++;
        break;
    }
    loans->in_flight--;
    if (--held->in_flight == 0 && !held->is_listed) {
        held->is_listed = true;
        loans->freed[loans->freed_count++] = (uint16_t)buffer;
    }
}

void loans_learn(struct loans *loans, uint64_t copied_before)
{
    bool copied_again = loans->job->stats.copied > copied_before;
    if (loans->options.adapts && copied_again && loans->piece > PIECE_ADAPTED_MIN)
        loans->piece /= 2;
    decide(loans);
}

/* Whether to go on asking: when the kernel copies anyway, asking only costs. */
static void decide(struct loans *loans)
{
    struct loans_pause *pause = &loans->pause;
    bool is_settled = pause->left == 0 && !loans->options.required;
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

void loans_hear(struct loans *loans, const struct zc_notice *notice)
{
    bool is_network_error = notice->error != 0 && (notice->origin == SO_EE_ORIGIN_LOCAL ||
                                                   notice->origin == SO_EE_ORIGIN_ICMP ||
                                                   notice->origin == SO_EE_ORIGIN_ICMP6);
    if (is_network_error)
        loans->late_error = -(int)notice->error;
}

void loans_reuse(struct loans *loans, unsigned buffer)
{
    bool is_listed = loans->buffers[buffer].is_listed;
    loans->buffers[buffer] = (struct loans_buffer){.is_listed = is_listed};
}

int loans_next_freed(struct loans *loans)
{
    if (loans->freed_count == 0)
        return -1;
    uint16_t buffer = loans->freed[--loans->freed_count];
    loans->buffers[buffer].is_listed = false;
    return buffer;
}

size_t loans_cut(const struct iovec *parts, size_t count, size_t limit, struct iovec *out)
{
    size_t used = 0;
    for (; used < count && used < LOANS_PARTS_MAX && limit > 0; used++) {
        out[used] = parts[used];
        if (out[used].iov_len > limit)
            out[used].iov_len = limit;
        limit -= out[used].iov_len;
    }
    return used;
}

size_t loans_size(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}
