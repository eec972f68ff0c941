/*
 * io_uring at both ends, under the sanitizers: random sizes, chunks and depths, files and pipes,
 * limits, and jobs that are cancelled in the middle. ZC_STRESS_SECONDS: how long; else some rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "await.h"
#include "check.h"
#include "tcp_pair.h"

#define ROUNDS 150
#define SIZE_MAX_BYTES 1500000
#define CHUNKS_MAX 500
#define NO_LIMIT UINT64_MAX

static int event_fd;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Mostly small: what goes wrong goes wrong at edges. */
static uint64_t draw_size(uint64_t most)
{
    static const uint64_t edges[] = {1, 4095, 4096, 4097, 65536, 65537};
    switch (draw(4)) {
    case 0:
        return edges[draw(sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return 1 + draw(100);
    default:
        return 1 + draw(most);
    }
}

static int file_of(const char *content, size_t size)
{
    int fd = memfd_create("uring-test", 0);
    CHECK(fd >= 0 && write(fd, content, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* A large stream in tiny chunks would only take long. */
static int64_t start(uint32_t mover, int source, int sink, uint64_t limit, uint64_t size)
{
    struct zc_move options = {
        .limit = limit,
        .chunk = draw_size(300000) + size / CHUNKS_MAX,
        .depth = (uint32_t)(2 + draw(31)),
        .mover = mover,
        .source = source,
        .sink = sink,
        .event_fd = event_fd,
        .answer = -1,
    };
    int64_t job = zc_move_start(&options);
    CHECK(job > 0);
    return job;
}

/* A file, or a pipe that a child writes to. */
static int source_of(const char *content, size_t size, pid_t *child)
{
    *child = -1;
    if (draw(2) == 0)
        return file_of(content, size);
    int fds[2];
    CHECK(pipe(fds) == 0);
    *child = fork();
    CHECK(*child >= 0);
    if (*child == 0) {
        close(fds[0]);
        for (size_t at = 0; at < size;) {
            ssize_t put = write(fds[1], content + at, size - at);
            if (put <= 0)
                _exit(0); /* nobody wants it any more */
            at += (size_t)put;
        }
        _exit(0);
    }
    close(fds[1]);
    return fds[0];
}

static void expect_content(int fd, const char *content, size_t size)
{
    char *got = malloc(size + 1);
    CHECK(got && pread(fd, got, size + 1, 0) == (ssize_t)size);
    CHECK(memcmp(got, content, size) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)size);
    free(got);
}

static void arrives_whole(const char *content)
{
    size_t size = draw(8) == 0 ? 0 : draw_size(SIZE_MAX_BYTES);
    uint64_t limit = draw(3) == 0 ? draw_size(SIZE_MAX_BYTES) : NO_LIMIT;
    size_t expected = limit < size ? limit : size;
    int near, far;
    pid_t child;
    tcp_pair(&near, &far);
    CHECK(zc_fd_nonblocking(near, 1) == 0);
    int source = source_of(content, size, &child), sink = memfd_create("uring-test-sink", 0);
    uint32_t to_send = draw(3) == 0 ? ZC_MOVER_COPY : ZC_MOVER_IO_URING_SEND;
    uint32_t to_receive = draw(3) == 0 ? ZC_MOVER_COPY : ZC_MOVER_IO_URING_RECEIVE;
    int64_t receiver = start(to_receive, far, sink, draw(2) == 0 ? NO_LIMIT : expected, size);
    struct zc_stats sent = await(start(to_send, source, near, limit, size), event_fd);
    CHECK(sent.error == 0 && sent.bytes == expected);
    CHECK(sent.end == (expected == limit ? ZC_END_LIMIT : ZC_END_EOF));
    CHECK(sent.completions == sent.sends);
    CHECK(zc_fd_nonblocking(near, 1) == 1);
    shutdown(near, SHUT_WR);
    struct zc_stats received = await(receiver, event_fd);
    CHECK(received.error == 0 && received.bytes == expected);
    expect_content(sink, content, expected);
    if (child < 0)
        CHECK(lseek(source, 0, SEEK_CUR) == (off_t)expected);
    close(source);
    close(sink);
    close(near);
    close(far);
    if (child > 0)
        CHECK(waitpid(child, NULL, 0) == child);
}

static void cancel(int64_t job)
{
    const struct zc_stats *stats = (const struct zc_stats *)(intptr_t)job;
    while (__atomic_load_n(&stats->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED) {
        zc_job_cancel(job); /* it may miss one, just before it waits */
        poll(NULL, 0, 1);
    }
    CHECK(stats->error == ECANCELED);
    CHECK(zc_job_free(job) == 0);
}

/* Cancelled at any moment, a job ends, and holds neither memory nor descriptors. */
static void can_be_cancelled(void)
{
    int near, far, null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
    tcp_pair(&near, &far);
    int64_t receiver = start(ZC_MOVER_IO_URING_RECEIVE, far, null, NO_LIMIT, SIZE_MAX_BYTES);
    int64_t sender = start(ZC_MOVER_IO_URING_SEND, zero, near, NO_LIMIT, SIZE_MAX_BYTES);
    usleep((useconds_t)draw(3000));
    int64_t first = draw(2) == 0 ? sender : receiver, second = first == sender ? receiver : sender;
    cancel(first);
    close(first == sender ? near : far);
    struct zc_stats other = await(second, event_fd);
    if (first == receiver)
        CHECK(other.error == ECONNRESET || other.error == EPIPE);
    else
        CHECK(other.error == ECONNRESET || (other.error == 0 && other.end == ZC_END_EOF));
    close(first == sender ? far : near);
    close(null);
    close(zero);
}

int main(void)
{
    const char *seconds = getenv("ZC_STRESS_SECONDS");
    int64_t until = zc_clock_now() + (seconds ? atoll(seconds) * 1000000000 : 0);
    char *content = malloc(SIZE_MAX_BYTES);
    event_fd = zc_event_open();
    seed = (uint64_t)zc_clock_now() | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    CHECK(content && event_fd >= 0);
    for (size_t i = 0; i < SIZE_MAX_BYTES; i++)
        content[i] = (char)draw(256);
    for (int round = 0; round < ROUNDS || zc_clock_now() < until; round++) {
        arrives_whole(content);
        if (round % 4 == 0)
            can_be_cancelled();
    }
    free(content);
    close(event_fd);
    return 0;
}
