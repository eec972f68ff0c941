/* Mapped pages of a real TCP connection: nothing lost, nothing twice, nothing taken too many. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "await.h"

#define SIZE (1u << 20)
/* A page, and TCP's timestamps. */
#define MSS (4096 + 12)
/* Two pages, and what fills none. */
#define MSS_ODD (10000 + 12)
#define CHUNK (256u << 10)

static unsigned char *content;
static int event_fd;

struct pair {
    int sender, receiver;
};

static struct pair connected(int mss)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int on = 1, buffer = SIZE;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct pair pair = {.sender = socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) == 0);
    CHECK(setsockopt(pair.sender, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0);
    CHECK(setsockopt(pair.sender, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) == 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(connect(pair.sender, (struct sockaddr *)&address, length) == 0);
    pair.receiver = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(pair.receiver >= 0);
    close(listener);
    return pair;
}

static void send_all(int fd, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_ZEROCOPY);
        CHECK(sent > 0);
        data += sent;
        size -= (size_t)sent;
    }
}

static int64_t start(int source, int sink, uint64_t limit, uint64_t chunk)
{
    struct zc_move move = {
        .limit = limit,
        .chunk = chunk,
        .depth = 2,
        .mover = ZC_MOVER_TCP_ZEROCOPY,
        .source = source,
        .sink = sink,
        .event_fd = event_fd,
        .answer = -1,
    };
    int64_t job = zc_move_start(&move);
    CHECK(job > 0);
    return job;
}

/* One move up to `limit`, and another one for the rest, lose nothing and take nothing twice. */
static void stops_at(int mss, uint64_t limit, uint64_t chunk)
{
    struct pair pair = connected(mss);
    int file = memfd_create("received", 0);
    int64_t job = start(pair.receiver, file, limit, chunk);
    send_all(pair.sender, content, SIZE);
    close(pair.sender);
    struct zc_stats stats = await(job, event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.bytes == limit);
    CHECK(stats.uncopied <= limit);
    stats = await(start(pair.receiver, file, UINT64_MAX, chunk), event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_EOF && stats.bytes == SIZE - limit);
    const void *received = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    CHECK(lseek(file, 0, SEEK_END) == SIZE && memcmp(received, content, SIZE) == 0);
    munmap((void *)received, SIZE);
    close(file);
    close(pair.receiver);
}

static void stops_exactly_at_the_limit(void)
{
    static const uint64_t limits[] = {1, 4095, 4096, 4097, 8191, 100001, SIZE / 2, SIZE - 1};
    static const uint64_t chunks[] = {4095, 4096, 4099, 65537, CHUNK, 4u << 20};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        for (size_t j = 0; j < sizeof(chunks) / sizeof(chunks[0]); j++) {
            stops_at(MSS, limits[i], chunks[j]);
            stops_at(MSS_ODD, limits[i], chunks[j]);
        }
}

static void maps_what_fills_pages(void)
{
    struct pair pair = connected(MSS);
    int null = memfd_create("received", 0);
    int64_t job = start(pair.receiver, null, UINT64_MAX, CHUNK);
    send_all(pair.sender, content, SIZE);
    close(pair.sender);
    struct zc_stats stats = await(job, event_fd);
    CHECK(stats.bytes == SIZE && stats.uncopied > SIZE / 10 * 9);
    int mark = 0;
    socklen_t length = sizeof(mark);
    CHECK(getsockopt(pair.receiver, SOL_SOCKET, SO_RCVLOWAT, &mark, &length) == 0 && mark == 1);
    close(null);
    close(pair.receiver);
}

/* All is there, and the reset behind it, before the first look: one call tells of both. */
static void tells_of_a_reset_behind_the_bytes(void)
{
    struct pair pair = connected(MSS);
    struct linger linger = {.l_onoff = 1};
    int null = memfd_create("received", 0);
    send_all(pair.sender, content, 30000);
    CHECK(setsockopt(pair.sender, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    close(pair.sender);
    struct zc_stats stats = await(start(pair.receiver, null, UINT64_MAX, CHUNK), event_fd);
    CHECK(stats.error == ECONNRESET && stats.side == ZC_SIDE_SOURCE && stats.bytes == 30000);
    close(null);
    close(pair.receiver);
}

static void refuses_what_is_no_tcp(void)
{
    int unix_pair[2], pipe_fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) == 0 && pipe(pipe_fds) == 0);
    int sources[] = {unix_pair[0], pipe_fds[0], socket(AF_INET, SOCK_DGRAM, 0)};
    for (size_t i = 0; i < 3; i++) {
        struct zc_stats stats = await(start(sources[i], 1, UINT64_MAX, CHUNK), event_fd);
        CHECK(stats.error == EOPNOTSUPP && stats.side == ZC_SIDE_SOURCE && stats.bytes == 0);
        close(sources[i]);
    }
    close(unix_pair[1]);
    close(pipe_fds[1]);
}

static void can_be_cancelled_while_it_waits(void)
{
    struct pair pair = connected(MSS);
    for (int streams = 0; streams < 2; streams++) {
        int null = memfd_create("received", 0);
        int64_t job = start(pair.receiver, null, UINT64_MAX, CHUNK);
        if (streams)
            send_all(pair.sender, content, 10000); /* the last of it fills no page */
        const struct zc_stats *stats_now = (const struct zc_stats *)(intptr_t)job;
        do
            usleep(20000);
        while (__atomic_load_n(&stats_now->bytes, __ATOMIC_RELAXED) < (streams ? 10000 : 0));
        CHECK(zc_job_cancel(job) == 0);
        struct zc_stats stats = await(job, event_fd);
        CHECK(stats.error == ECANCELED && stats.bytes == (streams ? 10000 : 0));
        close(null);
    }
    close(pair.sender);
    close(pair.receiver);
}

int main(void)
{
    event_fd = zc_event_open();
    content = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)(i * 2654435761u >> 11);
    stops_exactly_at_the_limit();
    maps_what_fills_pages();
    tells_of_a_reset_behind_the_bytes();
    refuses_what_is_no_tcp();
    can_be_cancelled_while_it_waits();
    return 0;
}
