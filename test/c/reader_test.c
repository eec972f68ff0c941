/* A descriptor's bytes, read ahead: in one piece wherever they lie, and no further than one ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "../../c/zc.h"
#include "await.h"
#include "check.h"

#define RING 8192u
#define STREAM 100000u

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 256);
}

struct subject {
    int64_t ring, job;
    int event_fd;
};

static struct subject start(int fd)
{
    struct subject subject = {.ring = zc_ring_new(RING), .event_fd = zc_event_open()};
    CHECK(subject.ring > 0 && subject.event_fd >= 0);
    struct zc_reader options = {
        .ring = (uint64_t)subject.ring, .size = RING, .fd = fd, .event_fd = subject.event_fd};
    subject.job = zc_reader_start(&options);
    CHECK(subject.job > 0);
    return subject;
}

static struct zc_stats end(const struct subject *subject)
{
    struct zc_stats stats = await(subject->job, subject->event_fd);
    CHECK(zc_ring_free(subject->ring, RING) == 0);
    close(subject->event_fd);
    return stats;
}

static uint64_t bytes_read(const struct subject *subject)
{
    const struct zc_stats *stats = (const struct zc_stats *)(intptr_t)subject->job;
    return __atomic_load_n(&stats->bytes, __ATOMIC_ACQUIRE);
}

static void wait_for(const struct subject *subject, uint64_t bytes)
{
    while (bytes_read(subject) < bytes) {
        struct pollfd news = {.fd = subject->event_fd, .events = POLLIN};
        uint64_t count;
        CHECK(poll(&news, 1, 5000) == 1);
        CHECK(read(subject->event_fd, &count, sizeof(count)) == sizeof(count));
    }
}

/* What is unread never wraps, whatever is released. */
static void reads_in_one_piece(bool is_blocking)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(fcntl(pair[0], F_SETFL, is_blocking ? 0 : O_NONBLOCK) == 0);
    struct subject subject = start(pair[0]);
    uint64_t put = 0, released = 0;
    for (uint64_t step = 1; released < STREAM; step = step * 3 % 5003 + 1) {
        for (; put < STREAM && put < released + RING; put++) {
            uint8_t byte = byte_at(put);
            CHECK(write(pair[1], &byte, 1) == 1);
        }
        wait_for(&subject, put);
        const uint8_t *unread = (const uint8_t *)(intptr_t)subject.ring + released % RING;
        for (uint64_t i = 0; i < put - released; i++)
            CHECK(unread[i] == byte_at(released + i));
        uint64_t some = step < put - released ? step : put - released;
        CHECK(zc_reader_release(subject.job, some) == 0);
        released += some;
    }
    close(pair[1]);
    struct zc_stats stats = end(&subject);
    CHECK(stats.end == ZC_END_EOF && stats.error == 0 && stats.bytes == STREAM);
    close(pair[0]);
}

static void reads_no_further_than_its_ring(void)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    static uint8_t bytes[2 * RING];
    CHECK(write(fds[1], bytes, sizeof(bytes)) == sizeof(bytes));
    struct subject subject = start(fds[0]);
    wait_for(&subject, RING);
    int left;
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        CHECK(bytes_read(&subject) == RING);
    }
    CHECK(zc_reader_release(subject.job, 1) == 0);
    wait_for(&subject, RING + 1);
    CHECK(zc_job_cancel(subject.job) == 0);
    struct zc_stats stats = end(&subject);
    CHECK(stats.bytes == RING + 1);
    left = (int)read(fds[0], bytes, sizeof(bytes));
    CHECK(left == (int)(2 * RING - (RING + 1)));
    close(fds[0]);
    close(fds[1]);
}

static void says_what_fails(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    struct subject subject = start(fd);
    struct zc_stats stats = end(&subject);
    CHECK(stats.error == EISDIR && stats.bytes == 0);
    close(fd);
}

static void rings_are_of_whole_pages(void)
{
    CHECK(zc_ring_new(0) == -EINVAL);
    CHECK(zc_ring_new(100) == -EINVAL);
    CHECK(zc_ring_new(UINT64_C(1) << 31) == -EINVAL);
    CHECK(zc_ring_new(UINT64_MAX - 4095) == -EINVAL);
    int64_t ring = zc_ring_new(RING);
    CHECK(ring > 0);
    volatile char *memory = (volatile char *)(intptr_t)ring;
    memory[5] = 'a';
    CHECK(memory[RING + 5] == 'a');
    memory[2 * RING - 1] = 'z';
    CHECK(memory[RING - 1] == 'z');
    CHECK(zc_ring_free(ring, RING) == 0);
}

int main(void)
{
    reads_in_one_piece(true);
    reads_in_one_piece(false);
    reads_no_further_than_its_ring();
    says_what_fails();
    rings_are_of_whole_pages();
    return 0;
}
