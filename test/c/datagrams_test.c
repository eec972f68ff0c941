/* Numbered datagrams: what is sent, what is counted of what comes, and that neither hangs. */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "await.h"
#include "check.h"

#define SIZE 1000u
#define SECOND_NS INT64_C(1000000000)

struct pair {
    int near, far;
};

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name;
    socklen_t length = sizeof(name);
    CHECK(getsockname(fd, (struct sockaddr *)&name, &length) == 0);
    return name;
}

static int bound_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    return fd;
}

/* Two sockets, connected to each other. */
static struct pair open_pair(void)
{
    struct pair pair = {.near = bound_socket(), .far = bound_socket()};
    struct sockaddr_in near = name_of(pair.near), far = name_of(pair.far);
    CHECK(connect(pair.near, (struct sockaddr *)&far, sizeof(far)) == 0);
    CHECK(connect(pair.far, (struct sockaddr *)&near, sizeof(near)) == 0);
    return pair;
}

static void close_pair(struct pair pair)
{
    close(pair.near);
    close(pair.far);
}

static struct zc_stats cancel(int64_t handle, int event_fd)
{
    CHECK(zc_job_cancel(handle) == 0);
    return await(handle, event_fd);
}

/* ------------------------------------------------------------------------------------ sending */

static struct zc_stats send_all(struct zc_datagrams datagrams, int fd)
{
    int event_fd = zc_event_open();
    datagrams.memory = zc_memory_new(1 << 20, 0, 0);
    datagrams.fd = fd;
    datagrams.event_fd = event_fd;
    CHECK(datagrams.memory > 0);
    int64_t handle = zc_datagrams_start(&datagrams);
    CHECK(handle > 0);
    struct zc_stats stats = await(handle, event_fd);
    zc_memory_free(datagrams.memory);
    close(event_fd);
    return stats;
}

static uint32_t u32_at(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static void each_has_a_header(uint32_t flags)
{
    struct pair pair = open_pair();
    int64_t before = zc_clock_now();
    struct zc_datagrams datagrams = {.size = SIZE, .limit = 50, .burst = 1, .flags = flags};
    struct zc_stats stats = send_all(datagrams, pair.near);
    int64_t after = zc_clock_now();
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.bytes == 50 * SIZE);
    CHECK(stats.calls >= 1 && stats.calls < 50);
    uint8_t first[SIZE], bytes[SIZE + 1];
    for (uint32_t number = 1; number <= 50; number++) {
        CHECK(recv(pair.far, bytes, sizeof(bytes), 0) == SIZE);
        int64_t sent_ns = u32_at(bytes) * SECOND_NS + u32_at(bytes + 4) * INT64_C(1000);
        CHECK(sent_ns >= before - 1000 && sent_ns <= after);
        bool wide = flags & ZC_DATAGRAMS_WIDE;
        CHECK(!wide || u32_at(bytes + 8) == 0);
        CHECK(u32_at(bytes + (wide ? 12 : 8)) == number);
        if (number == 1)
            memcpy(first, bytes, SIZE);
        else /* memory goes on, it does not begin anew */
            CHECK(memcmp(first + 16, bytes + 16, SIZE - 16) != 0);
    }
    CHECK(recv(pair.far, bytes, sizeof(bytes), 0) < 0 && errno == EAGAIN);
    close_pair(pair);
}

static void a_rate_is_kept(void)
{
    struct pair pair = open_pair();
    /* A hundredth of a second each. */
    struct zc_datagrams datagrams = {.size = SIZE, .limit = 11, .burst = 1, .rate = 100 * SIZE};
    struct zc_stats stats = send_all(datagrams, pair.near);
    CHECK(stats.error == 0 && stats.bytes == 11 * SIZE);
    CHECK(stats.ended_ns - stats.began_ns >= SECOND_NS / 10);
    close_pair(pair);
}

static void a_burst_goes_out_at_once(void)
{
    struct pair pair = open_pair();
    struct zc_datagrams datagrams = {.size = SIZE, .limit = 20, .burst = 20, .rate = 1};
    struct zc_stats stats = send_all(datagrams, pair.near);
    CHECK(stats.error == 0 && stats.bytes == 20 * SIZE && stats.calls == 1);
    close_pair(pair);
}

static void it_ends_in_time(void)
{
    struct pair pair = open_pair();
    struct zc_datagrams datagrams = {
        .size = SIZE, .limit = UINT64_MAX, .duration = 20000000, .burst = 1};
    struct zc_stats stats = send_all(datagrams, pair.near);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.bytes > 0);
    CHECK(stats.bytes % SIZE == 0 && stats.ended_ns - stats.began_ns >= 20000000);
    close_pair(pair);
}

static void a_refusal_is_an_error(void)
{
    struct pair pair = open_pair();
    close(pair.far);
    struct zc_datagrams datagrams = {.size = SIZE, .limit = UINT64_MAX, .burst = 1};
    struct zc_stats stats = send_all(datagrams, pair.near);
    CHECK(stats.error == ECONNREFUSED && stats.side == ZC_SIDE_SINK);
    close(pair.near);
}

static void refuses_nonsense(void)
{
    int64_t memory = zc_memory_new(1 << 20, 0, 0);
    struct zc_datagrams right = {.memory = memory, .size = SIZE, .burst = 1};
    struct zc_datagrams wrong[] = {right, right, right, right};
    wrong[0].memory = 0;
    wrong[1].size = 15;
    wrong[2].size = 65508;
    wrong[3].burst = 0;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(zc_datagrams_start(&wrong[i]) == -EINVAL);
    zc_memory_free(memory);
    struct zc_arrivals counts;
    struct zc_arrivals_options options = {.arrivals = (uintptr_t)&counts, .size = 15};
    CHECK(zc_arrivals_start(&options) == -EINVAL);
    options = (struct zc_arrivals_options){.size = SIZE};
    CHECK(zc_arrivals_start(&options) == -EINVAL);
    options = (struct zc_arrivals_options){.arrivals = (uintptr_t)&counts, .size = SIZE, .fd = -1};
    CHECK(zc_arrivals_start(&options) == -EBADF);
}

/* ---------------------------------------------------------------------------------- receiving */

struct reception {
    struct pair pair;
    int event_fd;
    int64_t handle;
    struct zc_arrivals counts;
};

static void begin(struct reception *reception, uint32_t flags)
{
    *reception = (struct reception){.pair = open_pair(), .event_fd = zc_event_open()};
    struct zc_arrivals_options options = {.arrivals = (uintptr_t)&reception->counts,
                                          .size = SIZE,
                                          .flags = flags,
                                          .fd = reception->pair.far,
                                          .event_fd = reception->event_fd};
    reception->handle = zc_arrivals_start(&options);
    CHECK(reception->handle > 0);
}

static uint64_t field(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

/* Once so many have been looked at. */
static void await_datagrams(struct reception *reception, uint64_t wanted)
{
    while (field(&reception->counts.datagrams) + field(&reception->counts.malformed) < wanted)
        poll(NULL, 0, 1);
}

static struct zc_stats end(struct reception *reception)
{
    struct zc_stats stats = cancel(reception->handle, reception->event_fd);
    CHECK(stats.error == ECANCELED);
    close(reception->event_fd);
    close_pair(reception->pair);
    return stats;
}

/* `seconds`: when it says that it was sent. */
static void send_at(const struct reception *reception, uint32_t seconds, uint64_t number, bool wide)
{
    uint8_t bytes[SIZE] = {0};
    uint32_t time = htobe32(seconds);
    uint64_t long_number = htobe64(number);
    uint32_t short_number = htobe32((uint32_t)number);
    memcpy(bytes, &time, sizeof(time));
    memcpy(bytes + 8, wide ? (void *)&long_number : &short_number, wide ? 8 : 4);
    CHECK(send(reception->pair.near, bytes, SIZE, 0) == SIZE);
}

static void send_one(const struct reception *reception, uint64_t number, bool wide)
{
    send_at(reception, 0, number, wide);
}

static void send_numbers(struct reception *reception, const uint64_t *numbers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        send_one(reception, numbers[i], false);
    await_datagrams(reception, count);
}

/* What iperf3 3.12 and 3.21 say of the same. */
static void numbers_are_counted_as_iperf3_does(uint32_t flags)
{
    struct reception reception;
    begin(&reception, flags);
    send_numbers(&reception, (uint64_t[]){1, 2, 5, 4, 4, 6, 9}, 7);
    struct zc_stats stats = end(&reception);
    CHECK(stats.bytes == 7 * SIZE && stats.calls >= 1 && stats.calls <= 7);
    CHECK(reception.counts.datagrams == 7 && reception.counts.highest == 9);
    CHECK(reception.counts.lost == 2 && reception.counts.out_of_order == 2);
    begin(&reception, flags);
    send_numbers(&reception, (uint64_t[]){5, 6, 7}, 3);
    end(&reception);
    CHECK(reception.counts.highest == 7 && reception.counts.lost == 4);
}

static void others_are_malformed(void)
{
    struct reception reception;
    begin(&reception, ZC_DATAGRAMS_WIDE);
    CHECK(send(reception.pair.near, "9876", 4, 0) == 4);
    CHECK(send(reception.pair.near, "", 0, 0) == 0);
    send_one(&reception, UINT64_MAX, true);
    send_one(&reception, UINT64_C(1) << 40, true);
    await_datagrams(&reception, 4);
    struct zc_stats stats = end(&reception);
    CHECK(stats.bytes == SIZE);
    CHECK(reception.counts.malformed == 3 && reception.counts.datagrams == 1);
    CHECK(reception.counts.highest == UINT64_C(1) << 40);
}

/* By what they say each took a thousand seconds more, or less, than the one before. */
static void jitter_is_of_the_differences(void)
{
    struct reception reception;
    begin(&reception, 0);
    for (unsigned number = 1; number <= 5; number++)
        send_at(&reception, number % 2 * 1000, number, false);
    await_datagrams(&reception, 5);
    double expected = 0;
    for (unsigned i = 0; i < 4; i++)
        expected += (1000e9 - expected) / 16;
    while ((double)field(&reception.counts.jitter_ns) < 0.99 * expected)
        poll(NULL, 0, 1);
    CHECK((double)field(&reception.counts.jitter_ns) <= 1.01 * expected);
    CHECK(zc_arrivals_restart(reception.handle) == 0);
    while (field(&reception.counts.jitter_ns) != 0)
        poll(NULL, 0, 1);
    send_one(&reception, 6, false);
    await_datagrams(&reception, 6);
    end(&reception);
    CHECK(reception.counts.jitter_ns == 0 && reception.counts.highest == 6);
}

static void all_are_accounted_for(void)
{
    struct reception reception;
    begin(&reception, ZC_DATAGRAMS_WIDE);
    struct zc_datagrams datagrams = {
        .size = SIZE, .limit = 5000, .burst = 1, .flags = ZC_DATAGRAMS_WIDE};
    CHECK(send_all(datagrams, reception.pair.near).bytes == 5000 * SIZE);
    /* The last ones may be lost, too: then more have to come until that is seen. */
    uint64_t last = 5000;
    while (field(&reception.counts.highest) <= 5000) {
        send_one(&reception, ++last, true);
        poll(NULL, 0, 1);
    }
    struct zc_stats stats = end(&reception);
    CHECK(reception.counts.datagrams + reception.counts.lost == reception.counts.highest);
    CHECK(stats.bytes == reception.counts.datagrams * SIZE);
    CHECK(reception.counts.out_of_order == 0 && reception.counts.malformed == 0);
}

static void a_peer_that_is_gone_does_not_end_it(void)
{
    struct reception reception;
    begin(&reception, 0);
    close(reception.pair.near);
    CHECK(send(reception.pair.far, "x", 1, 0) == 1); /* ICMP says that nobody listens */
    poll(NULL, 0, 10);
    reception.pair.near = bound_socket();
    end(&reception);
}

static void a_sender_has_a_name(void)
{
    struct pair pair = open_pair();
    struct sockaddr_in from;
    CHECK(zc_datagram_peer(pair.far, &from, sizeof(from)) == -EAGAIN);
    CHECK(send(pair.near, "hello", 5, 0) == 5);
    CHECK(zc_datagram_peer(pair.far, &from, 4) == -ENOBUFS);
    CHECK(zc_datagram_peer(pair.far, &from, sizeof(from)) == sizeof(from));
    CHECK(from.sin_port == name_of(pair.near).sin_port);
    char bytes[8];
    CHECK(recv(pair.far, bytes, sizeof(bytes), 0) == 5); /* it is still there */
    close_pair(pair);
}

int main(void)
{
    each_has_a_header(0);
    each_has_a_header(ZC_DATAGRAMS_WIDE);
    a_rate_is_kept();
    a_burst_goes_out_at_once();
    it_ends_in_time();
    a_refusal_is_an_error();
    refuses_nonsense();
    numbers_are_counted_as_iperf3_does(0);
    numbers_are_counted_as_iperf3_does(ZC_DATAGRAMS_HEADERS);
    others_are_malformed();
    jitter_is_of_the_differences();
    all_are_accounted_for();
    a_peer_that_is_gone_does_not_end_it();
    a_sender_has_a_name();
    return 0;
}
