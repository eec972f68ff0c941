/* arrivals.c: numbered datagrams received: which are missing, and how evenly they come. */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "job.h"

/* Datagrams a call. */
#define BATCH 64
#define HEADER_SIZE_MAX 16
#define NUMBER_MAX (UINT64_C(1) << 53) /* what a double holds exactly */
/* RFC 1889, appendix A.8: the share of each difference. */
#define JITTER_SHARE 16

struct arrivals {
    struct job job;
    struct zc_arrivals_options options;
    struct zc_arrivals *counts;
    size_t header_size;
    char *payload; /* all are received to the same place; or NULL */
    atomic_int restart;
    bool has_transit;
    int64_t transit; /* of the last one, ns; off by what the two clocks differ */
    double jitter;   /* ns */
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH][2];
    uint8_t headers[BATCH][HEADER_SIZE_MAX];
    _Alignas(struct cmsghdr) char control[BATCH][CMSG_SPACE(sizeof(struct timespec))];
};

static int arrivals_run(struct job *job);
static void arrivals_release(struct job *job);
static void prepare(struct arrivals *arrivals);
static int receive_batch(struct arrivals *arrivals);
static void count(struct arrivals *arrivals, unsigned index);
static void count_number(struct zc_arrivals *counts, uint64_t number);
static void count_transit(struct arrivals *arrivals, int64_t transit);
static int64_t arrival_ns(struct msghdr *message);
static uint32_t read_u32(const uint8_t *bytes);
static uint64_t read_u64(const uint8_t *bytes);

int64_t zc_arrivals_start(const struct zc_arrivals_options *options)
{
    if (options->arrivals == 0 || options->size < ZC_DATAGRAM_SIZE_MIN ||
        options->size > ZC_DATAGRAM_SIZE_MAX)
        return -EINVAL;
    int on = 1;
    if (setsockopt(options->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
        return -errno;
    struct arrivals *arrivals = calloc(1, sizeof(*arrivals));
    if (!arrivals)
        return -ENOMEM;
    arrivals->options = *options;
    arrivals->counts = (struct zc_arrivals *)(uintptr_t)options->arrivals;
    arrivals->header_size = options->flags & ZC_DATAGRAMS_WIDE ? 16 : 12;
    arrivals->job.release = arrivals_release;
    if (!(options->flags & ZC_DATAGRAMS_HEADERS))
        arrivals->payload = malloc(options->size);
    int64_t handle = job_start(&arrivals->job, options->event_fd, arrivals_run);
    if (handle < 0) {
        free(arrivals->payload);
        free(arrivals);
    }
    return handle;
}

static void arrivals_release(struct job *job)
{
    free(((struct arrivals *)job)->payload);
}

int zc_arrivals_restart(int64_t handle)
{
    struct arrivals *arrivals = (struct arrivals *)(intptr_t)handle;
    atomic_store(&arrivals->restart, 1);
    job_wake(&arrivals->job);
    return 0;
}

static int arrivals_run(struct job *job)
{
    struct arrivals *arrivals = (struct arrivals *)job;
    prepare(arrivals);
    for (;;) {
        int error = job_check(job);
        if (atomic_exchange(&arrivals->restart, 0)) {
            arrivals->has_transit = false;
            arrivals->jitter = 0;
            stat_set(&arrivals->counts->jitter_ns, 0);
        }
        if (error == 0)
            error = receive_batch(arrivals);
        if (error == -EAGAIN)
            error = job_poll_or_wake(job, arrivals->options.fd, POLLIN);
        if (error < 0 && error != -EINTR && error != -ECONNREFUSED)
            return job_fail(job, ZC_SIDE_SOURCE, error);
    }
}

static void prepare(struct arrivals *arrivals)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct iovec *parts = arrivals->parts[i];
        parts[0] = (struct iovec){arrivals->headers[i], arrivals->header_size};
        parts[1] = (struct iovec){arrivals->payload, arrivals->options.size};
        arrivals->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = parts,
            .msg_iovlen = arrivals->payload ? 2 : 1,
            .msg_control = arrivals->control[i],
        };
    }
}

/* Takes what is there. Returns 0, or -errno. */
static int receive_batch(struct arrivals *arrivals)
{
    for (unsigned i = 0; i < BATCH; i++)
        arrivals->messages[i].msg_hdr.msg_controllen = sizeof(arrivals->control[i]);
    int flags =
        MSG_DONTWAIT | MSG_TRUNC; /* lengths are the datagrams', not what there was room for */
    int got = recvmmsg(arrivals->options.fd, arrivals->messages, BATCH, flags, NULL);
    if (got < 0)
        return -errno;
    stat_add(&arrivals->job.stats.calls, 1);
    for (unsigned i = 0; i < (unsigned)got; i++)
        count(arrivals, i);
    return 0;
}

static void count(struct arrivals *arrivals, unsigned index)
{
    struct mmsghdr *message = &arrivals->messages[index];
    const uint8_t *header = arrivals->headers[index];
    bool wide = arrivals->options.flags & ZC_DATAGRAMS_WIDE;
    uint64_t number = wide ? read_u64(header + 8) : read_u32(header + 8);
    if (message->msg_len < arrivals->header_size || number > NUMBER_MAX) {
        stat_add(&arrivals->counts->malformed, 1);
        return;
    }
    stat_add(&arrivals->job.stats.bytes, message->msg_len);
    stat_add(&arrivals->counts->datagrams, 1);
    count_number(arrivals->counts, number);
    int64_t sent_ns = read_u32(header) * INT64_C(1000000000) + read_u32(header + 4) * INT64_C(1000);
    count_transit(arrivals, arrival_ns(&message->msg_hdr) - sent_ns);
}

/* One that comes late was counted as lost before: so iperf3 has it, also for one that comes twice.
 */
static void count_number(struct zc_arrivals *counts, uint64_t number)
{
    if (number > counts->highest) {
        stat_add(&counts->lost, number - counts->highest - 1);
        stat_set(&counts->highest, number);
        return;
    }
    stat_add(&counts->out_of_order, 1);
    if (counts->lost > 0)
        stat_set(&counts->lost, counts->lost - 1);
}

static void count_transit(struct arrivals *arrivals, int64_t transit)
{
    if (arrivals->has_transit) {
        double difference = (double)llabs(transit - arrivals->transit);
        arrivals->jitter += (difference - arrivals->jitter) / JITTER_SHARE;
        stat_set(&arrivals->counts->jitter_ns, (uint64_t)arrivals->jitter);
    }
    arrivals->has_transit = true;
    arrivals->transit = transit;
}

/* CLOCK_REALTIME: only differences count. */
static int64_t arrival_ns(struct msghdr *message)
{
    struct timespec time;
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS)
        memcpy(&time, CMSG_DATA(control), sizeof(time));
    else /* it came before we asked for times */
        clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

int zc_datagram_peer(int fd, void *out, uint32_t capacity)
{
    char byte;
    socklen_t length = capacity;
    if (recvfrom(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, out, &length) < 0)
        return -errno;
    return length <= capacity ? (int)length : -ENOBUFS;
}
