/* Two joined connections: what passes, what a tee is given of it, and what breaks. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "../../c/zc.h"
#include "await.h"
#include "tcp_pair.h"

#define PIPE_SIZE 65536
#define MESSAGE 5000u
/* More than goes at once, less than a unix socket takes. */
#define LAST_WORDS (24 * MESSAGE)
/* For a tee's pipe, whose buffers may hold more than a page each. */
#define TOO_MUCH (200 * MESSAGE)

struct pair {
    int peer, ours;
};

struct joined {
    struct pair near, far;
    struct zc_flow flows[2];
    int event_fd;
    int64_t job;
};

static struct pair unix_pair(void)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(zc_fd_nonblocking(fds[1], 1) == 0);
    return (struct pair){.peer = fds[0], .ours = fds[1]};
}

static struct pair pair_over_tcp(void)
{
    struct pair pair;
    tcp_pair(&pair.peer, &pair.ours);
    CHECK(zc_fd_nonblocking(pair.ours, 1) == 0);
    return pair;
}

static void join(struct joined *joined, struct pair near, struct pair far, int tee)
{
    *joined = (struct joined){.near = near, .far = far, .event_fd = zc_event_open()};
    struct zc_relay options = {.flows = (uintptr_t)joined->flows,
                               .pipe_size = PIPE_SIZE,
                               .near = near.ours,
                               .far = far.ours,
                               .tee_forth = tee,
                               .tee_back = -1,
                               .event_fd = joined->event_fd};
    joined->job = zc_relay_start(&options);
    CHECK(joined->job > 0);
}

static struct zc_stats end(struct joined *joined)
{
    struct zc_stats stats = await(joined->job, joined->event_fd);
    close(joined->near.ours);
    close(joined->far.ours);
    close(joined->near.peer);
    close(joined->far.peer);
    close(joined->event_fd);
    return stats;
}

/* Bytes that tell where in the stream they are. */
static void fill(char *out, size_t size, size_t at)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (char)((at + i) * 2654435761u >> 13);
}

static void put(int fd, size_t at)
{
    char message[MESSAGE];
    fill(message, sizeof(message), at);
    CHECK(write(fd, message, sizeof(message)) == sizeof(message));
}

static void expect(int fd, size_t size, size_t at)
{
    char got[MESSAGE], wanted[MESSAGE];
    CHECK(size <= sizeof(got));
    for (size_t all = 0; all < size;) {
        ssize_t some = read(fd, got + all, size - all);
        CHECK(some > 0);
        all += (size_t)some;
    }
    fill(wanted, size, at);
    CHECK(memcmp(got, wanted, size) == 0);
}

static void expect_end(int fd)
{
    char byte;
    CHECK(read(fd, &byte, 1) == 0);
}

static void passes_both_ways_until_both_end(struct pair near, struct pair far)
{
    struct joined joined;
    join(&joined, near, far, -1);
    for (size_t at = 0; at < 10 * MESSAGE; at += MESSAGE) {
        put(near.peer, at);
        expect(far.peer, MESSAGE, at);
        put(far.peer, at + 1);
        expect(near.peer, MESSAGE, at + 1);
    }
    shutdown(near.peer, SHUT_WR);
    expect_end(far.peer);
    put(far.peer, 7);
    expect(near.peer, MESSAGE, 7);
    shutdown(far.peer, SHUT_WR);
    expect_end(near.peer);
    struct zc_stats stats = end(&joined);
    CHECK(stats.error == 0 && stats.end == ZC_END_ACKNOWLEDGED && stats.pending == 0);
    CHECK(joined.flows[0].bytes == 10 * MESSAGE && joined.flows[0].ended == 1);
    CHECK(joined.flows[1].bytes == 11 * MESSAGE && joined.flows[1].ended == 1);
    CHECK(stats.bytes == 21 * MESSAGE && stats.calls >= 21);
    CHECK(joined.flows[0].missed == 0);
}

static void a_tee_is_given_all(void)
{
    int tee[2];
    CHECK(pipe(tee) == 0);
    struct joined joined;
    struct pair near = pair_over_tcp(), far = unix_pair();
    join(&joined, near, far, tee[1]);
    for (size_t at = 0; at < 100 * MESSAGE; at += MESSAGE) {
        put(near.peer, at);
        expect(far.peer, MESSAGE, at);
        expect(tee[0], MESSAGE, at);
    }
    shutdown(near.peer, SHUT_WR);
    shutdown(far.peer, SHUT_WR);
    CHECK(end(&joined).error == 0);
    CHECK(joined.flows[0].bytes == 100 * MESSAGE && joined.flows[0].missed == 0);
    close(tee[1]);
    expect_end(tee[0]);
    close(tee[0]);
}

/* The owner, which closes the tee, is told of it while the relay goes on. */
static void await_news(const struct joined *joined, const uint64_t *field)
{
    uint64_t news;
    do {
        CHECK(read(joined->event_fd, &news, sizeof(news)) == sizeof(news));
    } while (__atomic_load_n(field, __ATOMIC_ACQUIRE) == 0);
}

static void a_tee_that_is_full_is_given_up(void)
{
    int tee[2];
    CHECK(pipe(tee) == 0);
    struct joined joined;
    struct pair near = unix_pair(), far = pair_over_tcp();
    join(&joined, near, far, tee[1]);
    for (size_t at = 0; at < TOO_MUCH; at += MESSAGE) {
        put(near.peer, at);
        expect(far.peer, MESSAGE, at);
    }
    await_news(&joined, &joined.flows[0].missed);
    static char seen[TOO_MUCH], wanted[TOO_MUCH];
    ssize_t prefix = read(tee[0], seen, sizeof(seen));
    CHECK(prefix > 0);
    fill(wanted, (size_t)prefix, 0);
    CHECK(memcmp(seen, wanted, (size_t)prefix) == 0);
    /* There is room again, and all the same no more: that would be a gap. */
    put(near.peer, TOO_MUCH);
    expect(far.peer, MESSAGE, TOO_MUCH);
    close(tee[1]);
    expect_end(tee[0]);
    close(tee[0]);
    shutdown(near.peer, SHUT_WR);
    shutdown(far.peer, SHUT_WR);
    CHECK(end(&joined).error == 0);
    CHECK(joined.flows[0].bytes == TOO_MUCH + MESSAGE);
    CHECK(joined.flows[0].missed == TOO_MUCH + MESSAGE - (size_t)prefix);
}

static void a_tee_that_nobody_reads_is_given_up(void)
{
    int tee[2];
    CHECK(pipe(tee) == 0);
    close(tee[0]);
    struct joined joined;
    struct pair near = pair_over_tcp(), far = pair_over_tcp();
    join(&joined, near, far, tee[1]);
    put(near.peer, 0);
    expect(far.peer, MESSAGE, 0);
    shutdown(near.peer, SHUT_WR);
    await_news(&joined, &joined.flows[0].ended);
    shutdown(far.peer, SHUT_WR);
    CHECK(end(&joined).error == 0);
    CHECK(joined.flows[0].missed == MESSAGE);
    close(tee[1]);
}

static void reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    close(fd);
}

static void a_reset_is_the_error_of_its_side(uint64_t side)
{
    struct joined joined;
    struct pair near = pair_over_tcp(), far = pair_over_tcp();
    join(&joined, near, far, -1);
    put(near.peer, 0);
    expect(far.peer, MESSAGE, 0);
    reset(side == ZC_SIDE_NEAR ? near.peer : far.peer);
    struct zc_stats stats = await(joined.job, joined.event_fd);
    CHECK(stats.error == ECONNRESET && stats.side == side);
    CHECK(joined.flows[0].bytes == MESSAGE && joined.flows[0].ended + joined.flows[1].ended == 0);
    close(near.ours);
    close(far.ours);
    close(side == ZC_SIDE_NEAR ? far.peer : near.peer);
    close(joined.event_fd);
}

/* What was said before is there all the same, though only then does anybody read it. */
static void last_words_go_on(void)
{
    struct joined joined;
    struct pair near = unix_pair(), far = unix_pair();
    put(near.peer, 0); /* nobody is left to take it */
    for (size_t at = 0; at < LAST_WORDS; at += MESSAGE)
        put(far.peer, at);
    close(far.peer);
    join(&joined, near, far, -1);
    struct zc_stats stats = await(joined.job, joined.event_fd);
    CHECK(stats.error == EPIPE && stats.side == ZC_SIDE_FAR);
    for (size_t at = 0; at < LAST_WORDS; at += MESSAGE)
        expect(near.peer, MESSAGE, at);
    close(near.peer);
    close(near.ours);
    close(far.ours);
    close(joined.event_fd);
}

/* The other side has gone for good, and what it said waits for a reader who takes its time. */
static void a_peer_that_has_gone_is_heard_out(void)
{
    struct joined joined;
    struct pair near = unix_pair(), far = unix_pair();
    join(&joined, near, far, -1);
    zc_fd_nonblocking(far.peer, 1);
    char message[MESSAGE];
    size_t sent = 0;
    fill(message, sizeof(message), 0);
    for (ssize_t put; (put = write(far.peer, message, sizeof(message))) > 0;)
        sent += (size_t)put;
    CHECK(errno == EAGAIN && sent > 0);
    zc_fd_nonblocking(far.peer, 0);
    shutdown(near.peer, SHUT_WR);
    expect_end(far.peer);
    close(far.peer);
    size_t got = 0;
    for (ssize_t some; (some = read(near.peer, message, sizeof(message))) > 0;)
        got += (size_t)some;
    CHECK(got == sent);
    struct zc_stats stats = await(joined.job, joined.event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_ACKNOWLEDGED);
    close(near.peer);
    close(near.ours);
    close(far.ours);
    close(joined.event_fd);
}

static void is_cancelled_while_it_waits(void)
{
    struct joined joined;
    join(&joined, unix_pair(), pair_over_tcp(), -1);
    CHECK(zc_job_cancel(joined.job) == 0);
    CHECK(end(&joined).error == ECANCELED);
}

static void refuses_nonsense(void)
{
    struct zc_flow flows[2];
    struct zc_relay options = {.flows = 0, .pipe_size = PIPE_SIZE};
    CHECK(zc_relay_start(&options) == -EINVAL);
    options = (struct zc_relay){.flows = (uintptr_t)flows, .pipe_size = 0};
    CHECK(zc_relay_start(&options) == -EINVAL);
}

int main(void)
{
    passes_both_ways_until_both_end(pair_over_tcp(), pair_over_tcp());
    passes_both_ways_until_both_end(unix_pair(), unix_pair());
    passes_both_ways_until_both_end(pair_over_tcp(), unix_pair());
    a_tee_is_given_all();
    a_tee_that_is_full_is_given_up();
    a_tee_that_nobody_reads_is_given_up();
    a_reset_is_the_error_of_its_side(ZC_SIDE_NEAR);
    a_reset_is_the_error_of_its_side(ZC_SIDE_FAR);
    last_words_go_on();
    a_peer_that_has_gone_is_heard_out();
    is_cancelled_while_it_waits();
    refuses_nonsense();
    return 0;
}
