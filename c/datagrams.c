/* datagrams.c: numbered datagrams of one size, many a call: sendmmsg(2). */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "job.h"
#include "memory.h"

/* Datagrams a call. */
#define BATCH 32
#define HEADER_SIZE_MAX 16
/* Between two looks at the rate; iperf3's timer. */
#define PAUSE_MS 1
#define DURATION_MAX (INT64_MAX / 2)

struct datagrams {
    struct job job;
    struct zc_datagrams options;
    struct memory *memory;
    size_t header_size;
    uint64_t sent;    /* datagrams */
    int64_t deadline; /* ns; INT64_MAX: none */
    unsigned alone;   /* so many are sent one a call: see send_batch */
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH][2];
    uint8_t headers[BATCH][HEADER_SIZE_MAX];
};

static bool is_valid(const struct zc_datagrams *options);
static int datagrams_run(struct job *job);
static int64_t quota(struct datagrams *datagrams);
static uint64_t allowed_by_rate(const struct datagrams *datagrams, int64_t now);
static int send_batch(struct datagrams *datagrams, unsigned count);
static void prepare(struct datagrams *datagrams, unsigned count);
static void write_header(uint8_t *header, uint64_t number, bool wide);

int64_t zc_datagrams_start(const struct zc_datagrams *options)
{
    if (!is_valid(options))
        return -EINVAL;
    struct datagrams *datagrams = calloc(1, sizeof(*datagrams));
    if (!datagrams)
        return -ENOMEM;
    datagrams->options = *options;
    datagrams->memory = (struct memory *)(intptr_t)options->memory;
    datagrams->header_size = options->flags & ZC_DATAGRAMS_WIDE ? 16 : 12;
    int64_t handle = job_start(&datagrams->job, options->event_fd, datagrams_run);
    if (handle < 0)
        free(datagrams);
    return handle;
}

static bool is_valid(const struct zc_datagrams *options)
{
    const struct memory *memory = (const struct memory *)(intptr_t)options->memory;
    return memory && options->size <= memory_window_max(memory) &&
           options->size >= ZC_DATAGRAM_SIZE_MIN && options->size <= ZC_DATAGRAM_SIZE_MAX &&
           options->burst > 0 && options->rate <= INT64_MAX && options->duration <= DURATION_MAX;
}

static int datagrams_run(struct job *job)
{
    struct datagrams *datagrams = (struct datagrams *)job;
    int error = memory_begin(datagrams->memory, job);
    uint64_t duration = datagrams->options.duration;
    job->stats.began_ns = job_now(); /* filling the memory is no part of it */
    datagrams->deadline = duration > 0 ? job->stats.began_ns + (int64_t)duration : INT64_MAX;
    while (error == 0) {
        int64_t count = quota(datagrams);
        if (count == 0)
            return ZC_END_LIMIT;
        error = count < 0 ? (int)count : send_batch(datagrams, (unsigned)count);
    }
    return job_fail(job, ZC_SIDE_SINK, error);
}

/* How many to send now: waits until the rate allows one. 0 at the end, or -errno. */
static int64_t quota(struct datagrams *datagrams)
{
    const struct zc_datagrams *options = &datagrams->options;
    for (;;) {
        int error = job_check(&datagrams->job);
        if (error < 0)
            return error;
        int64_t now = job_now();
        uint64_t left = options->limit - datagrams->sent;
        if (left == 0 || now >= datagrams->deadline)
            return 0;
        uint64_t count = options->rate == 0 ? BATCH : allowed_by_rate(datagrams, now);
        if (count > left)
            count = left;
        if (count > 0)
            return count < BATCH ? (int64_t)count : BATCH;
        int ready = job_poll(&datagrams->job, -1, 0, PAUSE_MS);
        if (ready < 0)
            return ready;
    }
}

/* As many as bring it to the rate's average, or just above. */
static uint64_t allowed_by_rate(const struct datagrams *datagrams, int64_t now)
{
    const struct zc_datagrams *options = &datagrams->options;
    double seconds = (double)(now - datagrams->job.stats.began_ns) / 1e9;
    double due = seconds * (double)options->rate / (double)options->size;
    double behind = due - (double)datagrams->sent;
    if (behind <= 0)
        return 0;
    uint64_t count = behind < BATCH ? (uint64_t)behind + 1 : BATCH;
    return count < options->burst ? options->burst : count;
}

/* Sends up to `count`, waiting where it must. Returns 0, or -errno. */
static int send_batch(struct datagrams *datagrams, unsigned count)
{
    struct zc_stats *stats = &datagrams->job.stats;
    int fd = datagrams->options.fd;
    if (datagrams->alone > 0) {
        datagrams->alone--;
        count = 1;
    }
    prepare(datagrams, count);
    int sent = sendmmsg(fd, datagrams->messages, count, MSG_DONTWAIT);
    if (sent > 0) {
        /* An error after the first one is lost. ICMP's shows again after the next one, in a call.
         */
        if ((unsigned)sent < count)
            datagrams->alone = 2;
        datagrams->sent += (unsigned)sent;
        stat_add(&stats->calls, 1);
        stat_set(&stats->bytes, datagrams->sent * datagrams->options.size);
        return 0;
    }
    int ready = 0;
    if (errno == EAGAIN)
        ready = job_poll(&datagrams->job, fd, POLLOUT, -1);
    else if (errno == ENOBUFS) /* a full queue of the card: nothing tells when it has room */
        ready = job_poll(&datagrams->job, -1, 0, PAUSE_MS);
    else if (errno != EINTR)
        return -errno;
    return ready < 0 ? ready : 0;
}

static void prepare(struct datagrams *datagrams, unsigned count)
{
    bool wide = datagrams->options.flags & ZC_DATAGRAMS_WIDE;
    size_t size = datagrams->options.size - datagrams->header_size;
    for (unsigned i = 0; i < count; i++) {
        struct iovec *parts = datagrams->parts[i];
        write_header(datagrams->headers[i], datagrams->sent + i + 1, wide);
        memory_window(datagrams->memory, size);
        parts[0] = (struct iovec){datagrams->headers[i], datagrams->header_size};
        parts[1] = (struct iovec){memory_data(datagrams->memory), size};
        memory_took(datagrams->memory, size);
        datagrams->messages[i].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
    }
}

static void write_header(uint8_t *header, uint64_t number, bool wide)
{
    int64_t now = job_now();
    uint32_t words[2] = {htobe32((uint32_t)(now / 1000000000)),
                         htobe32((uint32_t)(now % 1000000000 / 1000))};
    memcpy(header, words, sizeof(words));
    uint64_t long_number = htobe64(number);
    uint32_t short_number = htobe32((uint32_t)number);
    if (wide)
        memcpy(header + sizeof(words), &long_number, sizeof(long_number));
    else
        memcpy(header + sizeof(words), &short_number, sizeof(short_number));
}
