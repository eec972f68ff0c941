/* A paced move, what answers it, and the times that are counted: of when each request was due. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "await.h"
#include "check.h"

#define WINDOW 5000u
#define REQUESTS 40u
#define INTERVAL_NS 1000000

static uint64_t counts[ZC_HISTOGRAM_BUCKETS];

struct pair {
    int near, far;
};

static struct pair open_pair(void)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    return (struct pair){.near = fds[0], .far = fds[1]};
}

static int64_t start_requests(int64_t memory, int sink, int64_t start_ns, int event_fd)
{
    struct zc_move move = {.memory = memory,
                           .limit = REQUESTS * WINDOW,
                           .chunk = WINDOW,
                           .depth = 2,
                           .interval = INTERVAL_NS,
                           .start_ns = start_ns,
                           .sink = sink,
                           .event_fd = event_fd};
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    return handle;
}

static int64_t start_responder(int source, int null, int answer, int event_fd)
{
    struct zc_move move = {.limit = UINT64_MAX,
                           .chunk = 1 << 20,
                           .depth = 2,
                           .request = WINDOW,
                           .source = source,
                           .sink = null,
                           .answer = answer,
                           .event_fd = event_fd};
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    return handle;
}

static uint64_t counted_from(uint32_t bucket)
{
    uint64_t sum = 0;
    for (; bucket < ZC_HISTOGRAM_BUCKETS; bucket++)
        sum += counts[bucket];
    return sum;
}

/* The responder begins `late_ns` after the first request was due. Returns how long all of it took.
 */
static int64_t measure(int64_t late_ns)
{
    for (unsigned i = 0; i < ZC_HISTOGRAM_BUCKETS; i++)
        counts[i] = 0;
    int64_t memory = zc_memory_new(1 << 20, 0, 0);
    CHECK(memory > 0);
    struct pair data = open_pair(), answers = open_pair();
    int event_fd = zc_event_open(), null = open("/dev/null", O_WRONLY);
    int64_t start_ns = zc_clock_now();
    struct zc_answers options = {.interval = INTERVAL_NS,
                                 .start_ns = start_ns,
                                 .counts = (uintptr_t)counts,
                                 .fd = answers.near,
                                 .event_fd = event_fd};
    int64_t reader = zc_answers_start(&options);
    CHECK(reader > 0);
    int64_t requests = start_requests(memory, data.near, start_ns, event_fd);
    struct timespec late = {.tv_sec = late_ns / 1000000000, .tv_nsec = late_ns % 1000000000};
    nanosleep(&late, NULL);
    int64_t responder = start_responder(data.far, null, answers.far, event_fd);

    struct zc_stats sent = await(requests, event_fd);
    CHECK(sent.error == 0 && sent.bytes == REQUESTS * WINDOW && sent.calls >= REQUESTS);
    CHECK(sent.ended_ns - start_ns >= (int64_t)(REQUESTS - 1) * INTERVAL_NS);
    shutdown(data.near, SHUT_WR);
    struct zc_stats answered = await(responder, event_fd);
    CHECK(answered.error == 0 && answered.bytes == sent.bytes);
    CHECK(answered.last_ns > start_ns && answered.last_ns < answered.ended_ns);
    close(answers.far);
    struct zc_stats read = await(reader, event_fd);
    CHECK(read.error == 0 && read.end == ZC_END_EOF && read.bytes == REQUESTS);
    CHECK(counted_from(0) == REQUESTS);
    zc_memory_free(memory);
    close(data.near);
    close(data.far);
    close(answers.near);
    close(event_fd);
    close(null);
    return read.ended_ns - start_ns;
}

/* Nobody's lateness is hidden: a request that was due long ago counts from when it was due. */
static void a_stall_delays_all_that_was_due(void)
{
    const int64_t stall_ns = 30 * INTERVAL_NS;
    int64_t took_ns = measure(stall_ns);
    CHECK(counted_from(zc_histogram_bucket(stall_ns - INTERVAL_NS)) >= 1);
    CHECK(counted_from(zc_histogram_bucket(stall_ns / 2)) >= 15);
    /* And nobody's is made more: who was due late cannot have waited long. */
    uint64_t due_early = (uint64_t)((took_ns - stall_ns / 2) / INTERVAL_NS) + 1;
    CHECK(counted_from(zc_histogram_bucket(stall_ns / 2) + 1) <= due_early);
}

static void refuses_nonsense(void)
{
    struct zc_answers options = {.interval = 0, .counts = (uintptr_t)counts};
    CHECK(zc_answers_start(&options) == -22);
    options = (struct zc_answers){.interval = 1, .counts = 0};
    CHECK(zc_answers_start(&options) == -22);
    struct zc_move move = {.interval = 1, .chunk = 1, .depth = 2};
    CHECK(zc_move_start(&move) == -22);
}

static void is_cancelled_while_it_waits(void)
{
    struct pair answers = open_pair();
    int event_fd = zc_event_open();
    struct zc_answers options = {
        .interval = 1, .counts = (uintptr_t)counts, .fd = answers.near, .event_fd = event_fd};
    int64_t reader = zc_answers_start(&options);
    CHECK(reader > 0);
    CHECK(zc_job_cancel(reader) == 0);
    CHECK(await(reader, event_fd).error == 125);
    close(answers.near);
    close(answers.far);
    close(event_fd);
}

int main(void)
{
    measure(0);
    a_stall_delays_all_that_was_due();
    refuses_nonsense();
    is_cancelled_while_it_waits();
    return 0;
}
