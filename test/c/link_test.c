/* A link: messages cut from any stream, their descriptors, and what waits on either side. */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "link_peer.h"

#define SIZE_MAX_TAKEN (256u << 10)
#define PLENTY (64u << 20)
#define BARE 16u

/* --- streams of many messages, sent in pieces of any size --- */

#define STREAM_MESSAGES 200

struct part {
    size_t begin, end; /* in the stream */
    uint32_t fd_count, fds_sent;
};

struct stream {
    int fd;
    unsigned seed;
    unsigned char *bytes;
    struct part parts[STREAM_MESSAGES];
};

static unsigned below(unsigned *seed, unsigned end)
{
    return (unsigned)rand_r(seed) % end;
}

static uint32_t any_size(unsigned *seed)
{
    static const uint32_t most[] = {1, 20, 300, 70000, SIZE_MAX_TAKEN - BARE};
    unsigned kind = below(seed, 40);
    return BARE + below(seed, most[kind < 2 ? 3 + kind : kind % 3]);
}

static uint32_t any_fd_count(unsigned *seed)
{
    unsigned kind = below(seed, 60);
    return kind == 0 ? ZC_LINK_FDS_MAX : kind < 20 ? 1 + below(seed, 3) : 0;
}

static uint32_t fd_number(uint32_t message, uint32_t fd)
{
    return message * 1000 + fd;
}

static size_t any_step(unsigned *seed)
{
    static const unsigned most[] = {3, 20, 20, 200, 5000, 100000};
    return 1 + below(seed, most[below(seed, 6)]);
}

/* Those of one message, from `from` on, with the bytes up to `end`. */
static void send_piece(struct stream *stream, size_t begin, size_t end, uint32_t message,
                       uint32_t fd_count)
{
    struct part *part = &stream->parts[message];
    int fds[ZC_LINK_FDS_MAX];
    for (uint32_t each = 0; each < fd_count; each++)
        fds[each] = numbered_fd(fd_number(message, part->fds_sent + each));
    put(stream->fd, stream->bytes + begin, end - begin, fds, fd_count);
    close_all(fds, fd_count);
    part->fds_sent += fd_count;
}

/*
 * Descriptors go with any piece of their message and of no other: a part of its header, what is
 * behind, some here and some there. All other pieces are glued as they come.
 */
static void *send_stream(void *argument)
{
    struct stream *stream = argument;
    const size_t all = stream->parts[STREAM_MESSAGES - 1].end;
    uint32_t first = 0; /* message that `at` is in */
    for (size_t at = 0; at < all;) {
        size_t end = at + any_step(&stream->seed);
        end = end < all ? end : all;
        uint32_t last = first;
        while (stream->parts[last].end < end &&
               stream->parts[last].fds_sent == stream->parts[last].fd_count)
            last++;
        struct part *part = &stream->parts[last];
        end = end < part->end ? end : part->end;
        uint32_t left = part->fd_count - part->fds_sent;
        uint32_t fd_count = end == part->end ? left : below(&stream->seed, left + 1);
        if (fd_count > 0 && at < part->begin) {
            end = part->begin;
            fd_count = 0;
        }
        send_piece(stream, at, end, last, fd_count);
        at = end;
        while (first < STREAM_MESSAGES && stream->parts[first].end <= at)
            first++;
    }
    return NULL;
}

static void plan_stream(struct stream *stream)
{
    size_t at = 0;
    for (uint32_t each = 0; each < STREAM_MESSAGES; each++) {
        uint32_t size = any_size(&stream->seed);
        stream->parts[each] =
            (struct part){.begin = at, .end = at + size, .fd_count = any_fd_count(&stream->seed)};
        at += size;
    }
    stream->bytes = malloc(at);
    CHECK(stream->bytes);
    for (uint32_t each = 0; each < STREAM_MESSAGES; each++) {
        const struct part *part = &stream->parts[each];
        fill_message(stream->bytes + part->begin, (uint32_t)(part->end - part->begin), each);
    }
}

static void expect_fds(const struct zc_message *told, uint32_t message)
{
    for (uint32_t each = 0; each < told->fd_count; each++)
        CHECK(number_of(told->fds[each]) == fd_number(message, each));
    close_all(told->fds, told->fd_count);
}

static void every_message_of_any_stream_is_whole(unsigned seed)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    static const uint64_t held_max[] = {1, 5000, PLENTY};
    struct pair pair = pair_open(SIZE_MAX_TAKEN, held_max[seed % 3]);
    struct stream stream = {.fd = pair.peer, .seed = seed};
    pthread_t thread;
    plan_stream(&stream);
    CHECK(pthread_create(&thread, NULL, send_stream, &stream) == 0);
    for (uint32_t each = 0; each < STREAM_MESSAGES; each++) {
        const struct part *part = &stream.parts[each];
        struct zc_message told;
        take(&pair, bytes, sizeof(bytes), &told);
        CHECK(told.size == part->end - part->begin && is_message(bytes, told.size, each));
        CHECK(told.fd_count == part->fd_count && told.fds_lost == 0 && told.flags == 0);
        expect_fds(&told, each);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    free(stream.bytes);
    close(pair.peer);
    pair.peer = -1;
    CHECK(pair_close(&pair).end == ZC_END_EOF);
}

/* --- two links, whose owners send and take as they can --- */

#define EXCHANGED 400

struct side {
    struct pair pair;
    unsigned seed;
    uint32_t sent, taken;
};

/* Whether there was any: the same random numbers tell both sides what a message is. */
static bool send_one(struct side *side)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    if (side->sent == EXCHANGED)
        return false;
    unsigned seed = side->seed * 1000 + side->sent;
    uint32_t size = any_size(&seed), fd_count = any_fd_count(&seed);
    uint32_t head = below(&seed, size + 1);
    int fds[ZC_LINK_FDS_MAX];
    fill_message(bytes, size, side->sent);
    for (uint32_t each = 0; each < fd_count; each++)
        fds[each] = numbered_fd(fd_number(side->sent, each));
    int error = zc_link_send(side->pair.job, bytes, head, bytes + head, size - head, fds, fd_count);
    close_all(fds, fd_count);
    CHECK(error == 0 || error == -EAGAIN);
    side->sent += error == 0;
    return error == 0;
}

static bool take_one(struct side *side, unsigned senders_seed)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    struct zc_message told;
    if (zc_link_take(side->pair.job, bytes, sizeof(bytes), &told) != 1)
        return false;
    unsigned seed = senders_seed * 1000 + side->taken;
    uint32_t size = any_size(&seed), fd_count = any_fd_count(&seed);
    CHECK(told.size == size && told.fd_count == fd_count && is_message(bytes, size, side->taken));
    expect_fds(&told, side->taken);
    side->taken++;
    return true;
}

static struct pair far_end(struct pair *near)
{
    struct pair far = {.peer = -1, .ours = near->peer, .event_fd = zc_event_open()};
    near->peer = -1;
    CHECK(zc_fd_nonblocking(far.ours, 1) == 0);
    struct zc_link options = {
        .size_max = SIZE_MAX_TAKEN, .held_max = 100000, .fd = far.ours, .event_fd = far.event_fd};
    far.job = zc_link_start(&options);
    CHECK(far.job > 0);
    return far;
}

static void two_links_exchange_everything(unsigned seed)
{
    struct side near = {.pair = pair_open(SIZE_MAX_TAKEN, 3000), .seed = seed};
    struct side far = {.pair = far_end(&near.pair), .seed = seed + 1};
    while (near.taken < EXCHANGED || far.taken < EXCHANGED) {
        bool moved = send_one(&near);
        moved |= send_one(&far);
        moved |= take_one(&near, far.seed);
        moved |= take_one(&far, near.seed);
        struct pollfd news[2] = {{.fd = near.pair.event_fd, .events = POLLIN},
                                 {.fd = far.pair.event_fd, .events = POLLIN}};
        CHECK(moved || poll(news, 2, -1) > 0);
        uint64_t count;
        for (int each = 0; each < 2; each++)
            CHECK(!(news[each].revents & POLLIN) || read(news[each].fd, &count, 8) == 8);
    }
    zc_link_end(near.pair.job);
    CHECK(pair_close(&near.pair).end == ZC_END_CLOSED);
    CHECK(pair_close(&far.pair).end == ZC_END_EOF);
}

/* --- bounds --- */

/* As soon as so much waits, nothing is read: what is held now is all. */
static void await_full(struct link *link)
{
    for (;;) {
        pthread_mutex_lock(&link->lock);
        bool has_room = messages_have_room(&link->arrived, link->options.held_max);
        pthread_mutex_unlock(&link->lock);
        if (!has_room)
            return;
        sched_yield();
    }
}

static struct messages arrived(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    struct messages now = link->arrived;
    pthread_mutex_unlock(&link->lock);
    return now;
}

struct flood {
    int fd;
    uint32_t messages, fd_count;
};

static void *send_flood(void *argument)
{
    const struct flood *flood = argument;
    unsigned char bytes[BARE];
    int fds[ZC_LINK_FDS_MAX];
    for (uint32_t each = 0; each < flood->messages; each++) {
        for (uint32_t fd = 0; fd < flood->fd_count; fd++)
            fds[fd] = numbered_fd(fd_number(each, fd));
        fill_message(bytes, sizeof(bytes), each);
        put(flood->fd, bytes, sizeof(bytes), fds, flood->fd_count);
        close_all(fds, flood->fd_count);
    }
    return NULL;
}

static void a_flood_has_a_bound(uint32_t messages, uint32_t fd_count, uint64_t held_max)
{
    struct pair pair = pair_open(BARE, held_max);
    struct flood flood = {.fd = pair.peer, .messages = messages, .fd_count = fd_count};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_flood, &flood) == 0);
    await_full(link_of(pair.job));
    struct messages held = arrived(link_of(pair.job));
    CHECK(held.held < held_max + sizeof(struct message) + BARE);
    CHECK(held.fds < ZC_LINK_FDS_MAX + fd_count || fd_count == 0);
    for (uint32_t each = 0; each < messages; each++) {
        unsigned char bytes[BARE];
        struct zc_message told;
        take(&pair, bytes, sizeof(bytes), &told);
        CHECK(is_message(bytes, told.size, each) && told.fd_count == fd_count);
        expect_fds(&told, each);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    zc_job_cancel(pair.job);
    CHECK(pair_close(&pair).error == ECANCELED);
}

/* Many small messages in one call: the buffer has far more of them than may be held. */
static void messages_that_came_at_once_have_a_bound(void)
{
    enum { COUNT = 2000 };
    static unsigned char bytes[COUNT * BARE];
    const uint64_t held_max = 5000;
    struct pair pair = pair_open(BARE, held_max);
    for (uint32_t each = 0; each < COUNT; each++)
        fill_message(bytes + each * BARE, BARE, each);
    int fd = numbered_fd(fd_number(COUNT - 1, 0));
    put(pair.peer, bytes, sizeof(bytes), &fd, 1);
    close(fd);
    await_full(link_of(pair.job));
    CHECK(arrived(link_of(pair.job)).held < held_max + sizeof(struct message) + BARE);
    close(pair.peer);
    pair.peer = -1;
    for (uint32_t each = 0; each < COUNT; each++) {
        struct zc_message told;
        take(&pair, bytes, BARE, &told);
        CHECK(is_message(bytes, told.size, each) && told.fd_count == (each == COUNT - 1));
        expect_fds(&told, each);
    }
    CHECK(pair_close(&pair).end == ZC_END_EOF);
}

static void descriptors_beyond_the_most_are_closed_and_told(void)
{
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    unsigned char bytes[100];
    int fds[ZC_LINK_FDS_MAX];
    struct zc_message told;
    fill_message(bytes, sizeof(bytes), 0);
    for (uint32_t each = 0; each < ZC_LINK_FDS_MAX; each++)
        fds[each] = numbered_fd(fd_number(0, each));
    put(pair.peer, bytes, 8, fds, ZC_LINK_FDS_MAX);
    put(pair.peer, bytes + 8, 42, fds, 7);
    put(pair.peer, bytes + 50, 50, fds, 3);
    close_all(fds, ZC_LINK_FDS_MAX);
    take(&pair, bytes, sizeof(bytes), &told);
    CHECK(told.fd_count == ZC_LINK_FDS_MAX && told.fds_lost == 10);
    expect_fds(&told, 0);
    zc_job_cancel(pair.job);
    pair_close(&pair);
}

/* The kernel closes what this process may not have. */
static void descriptors_that_this_process_may_not_have_are_told(void)
{
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    unsigned char bytes[BARE];
    struct zc_message told;
    struct rlimit before, now;
    int fds[2] = {numbered_fd(fd_number(0, 0)), numbered_fd(fd_number(0, 1))};
    fill_message(bytes, sizeof(bytes), 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    now = before;
    now.rlim_cur = (rlim_t)fds[1] + 2; /* one more */
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    put(pair.peer, bytes, sizeof(bytes), fds, 2);
    take(&pair, bytes, sizeof(bytes), &told);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(told.fd_count == 1 && told.fds_lost == 1);
    expect_fds(&told, 0);
    close_all(fds, 2);
    zc_job_cancel(pair.job);
    pair_close(&pair);
}

/* Sends until too much is waiting; returns how many were taken. */
static uint32_t send_until_full(struct pair *pair, uint32_t size)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    uint32_t sent = 0;
    int error;
    do {
        fill_message(bytes, size, sent);
        int fd = numbered_fd(fd_number(sent, 0));
        error = zc_link_send(pair->job, bytes, BARE, bytes + BARE, size - BARE, &fd, 1);
        close(fd);
        sent += error == 0;
    } while (error == 0);
    CHECK(error == -EAGAIN);
    return sent;
}

static uint64_t leaving(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    uint64_t held = link->leaving.held;
    pthread_mutex_unlock(&link->lock);
    return held;
}

static void expect_messages(int fd, uint32_t count, uint32_t size)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    for (uint32_t each = 0; each < count; each++)
        CHECK(get(fd, bytes, size) && is_message(bytes, size, each));
}

static void a_peer_that_does_not_read_is_waited_for(uint32_t size)
{
    const uint64_t held_max = 400000;
    struct pair pair = pair_open(SIZE_MAX_TAKEN, held_max);
    uint32_t sent = send_until_full(&pair, size);
    CHECK(leaving(link_of(pair.job)) <= held_max);
    expect_messages(pair.peer, sent, size);
    uint64_t news;
    CHECK(read(pair.event_fd, &news, sizeof(news)) == sizeof(news));
    unsigned char bytes[BARE];
    fill_message(bytes, BARE, 0);
    CHECK(zc_link_send(pair.job, bytes, BARE, NULL, 0, NULL, 0) == 0);
    expect_messages(pair.peer, 1, BARE);
    zc_job_cancel(pair.job);
    pair_close(&pair);
}

/* Each is more than the socket takes at once: they go with its first bytes, and not again. */
static void descriptors_of_what_waits_are_sent_once(void)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 10 * SIZE_MAX_TAKEN);
    uint32_t sent = send_until_full(&pair, SIZE_MAX_TAKEN);
    struct pair far = far_end(&pair);
    for (uint32_t each = 0; each < sent; each++) {
        struct zc_message told;
        take(&far, bytes, sizeof(bytes), &told);
        CHECK(told.fd_count == 1 && is_message(bytes, told.size, each));
        expect_fds(&told, each);
    }
    zc_link_end(pair.job);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
    CHECK(pair_close(&far).end == ZC_END_EOF);
}

/* --- sizes --- */

static void a_size_is_taken(uint32_t size)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    struct zc_message told;
    fill_message(bytes, size, 5);
    for (size_t at = 0; at < size; at += 50000)
        put(pair.peer, bytes + at, size - at < 50000 ? size - at : 50000, NULL, 0);
    if (size > BARE) {
        while (zc_link_take(pair.job, bytes, size - 1, &told) != -EMSGSIZE)
            sched_yield();
        CHECK(told.size == size);
    }
    take(&pair, bytes, size, &told);
    CHECK(told.size == size && told.flags == 0 && is_message(bytes, size, 5));
    zc_job_cancel(pair.job);
    pair_close(&pair);
}

static void a_size_is_bad(uint32_t size)
{
    unsigned char bytes[3 * BARE], got[3 * BARE];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    struct zc_message told;
    fill_message(bytes, BARE, 0);
    fill_message(bytes + BARE, BARE, 1);
    fill_message(bytes + 2 * BARE, BARE, 2);
    memcpy(bytes + BARE + offsetof(struct header, size), &size, sizeof(size));
    put(pair.peer, bytes, sizeof(bytes), NULL, 0);
    take(&pair, got, sizeof(got), &told);
    CHECK(told.size == BARE && told.flags == 0 && is_message(got, BARE, 0));
    take(&pair, got, sizeof(got), &told);
    CHECK(told.size == BARE && told.flags == ZC_MESSAGE_SIZE_BAD);
    CHECK(memcmp(got, bytes + BARE, BARE) == 0);
    /* What we have to say about it still goes out; nothing comes in any more. */
    CHECK(zc_link_send(pair.job, bytes, BARE, NULL, 0, NULL, 0) == 0);
    expect_messages(pair.peer, 1, BARE);
    zc_link_end(pair.job);
    await_end(&pair);
    CHECK(zc_link_take(pair.job, got, sizeof(got), &told) == 0);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
}

/* --- ends --- */

/* The first message is whole, of the second there is a part, with a descriptor. */
static void an_end_within_a_message_is_no_end(size_t part)
{
    unsigned char bytes[BARE + 100];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    struct zc_message told;
    int fd = numbered_fd(0);
    fill_message(bytes, BARE, 0);
    fill_message(bytes + BARE, 100, 1);
    put(pair.peer, bytes, BARE, NULL, 0);
    if (part > 0)
        put(pair.peer, bytes + BARE, part, &fd, 1);
    close(fd);
    close(pair.peer);
    pair.peer = -1;
    await_end(&pair);
    CHECK(zc_link_take(pair.job, bytes, sizeof(bytes), &told) == 1 && told.size == BARE);
    CHECK(zc_link_take(pair.job, bytes, sizeof(bytes), &told) == 0);
    CHECK(zc_link_send(pair.job, bytes, BARE, NULL, 0, NULL, 0) == -EPIPE);
    struct zc_stats stats = pair_close(&pair);
    CHECK(part > 0 ? stats.error == ECONNRESET : stats.error == 0 && stats.end == ZC_END_EOF);
}

static void its_end_sends_everything_first(void)
{
    const uint32_t size = 10000;
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 400000);
    uint32_t sent = send_until_full(&pair, size);
    zc_link_end(pair.job);
    CHECK(!has_ended(&pair));
    expect_messages(pair.peer, sent, size);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
}

/* As one with a single thread does: it takes nothing while nobody takes what it says. */
static void *answer_with_more(void *argument)
{
    static unsigned char bytes[SIZE_MAX_TAKEN];
    int fd = *(int *)argument;
    struct header header;
    while (get(fd, &header, sizeof(header)) && get(fd, bytes, header.size - sizeof(header)))
        for (int each = 0; each < 4; each++) {
            fill_message(bytes, SIZE_MAX_TAKEN, 0);
            send(fd, bytes, SIZE_MAX_TAKEN, MSG_NOSIGNAL);
        }
    return NULL;
}

/* SIGALRM ends the test. */
static void an_end_is_not_held_up_by_a_peer_that_talks(void)
{
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 400000);
    pthread_t thread;
    send_until_full(&pair, 10000);
    CHECK(pthread_create(&thread, NULL, answer_with_more, &pair.peer) == 0);
    zc_link_end(pair.job);
    alarm(20);
    await_end(&pair);
    alarm(0);
    shutdown(pair.ours, SHUT_RDWR);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
}

/* Closing the socket would close it too, and might wait for that. SIGALRM ends the test. */
static void what_is_still_in_the_socket_is_closed(void)
{
    unsigned char bytes[BARE];
    int fds[2];
    struct pair pair =
        pair_open(SIZE_MAX_TAKEN, 1); /* the first message that is not taken fills it */
    struct zc_message told;
    fill_message(bytes, BARE, 0);
    put(pair.peer, bytes, BARE, NULL, 0);
    while (zc_link_take(pair.job, bytes, BARE - 1, &told) != -EMSGSIZE)
        sched_yield();
    CHECK(pipe(fds) == 0);
    put(pair.peer, bytes, BARE, &fds[1], 1);
    close(fds[1]);
    zc_job_cancel(pair.job);
    await_end(&pair);
    alarm(20);
    CHECK(read(fds[0], bytes, 1) == 0);
    alarm(0);
    close(fds[0]);
    pair_close(&pair);
}

/* It has not read what we say, and has gone: what it said before is taken all the same. */
static void a_peer_that_has_gone_is_heard_out(void)
{
    enum { COUNT = 50 };
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 400000);
    send_until_full(&pair, 10000);
    struct flood flood = {.fd = pair.peer, .messages = COUNT, .fd_count = 1};
    pthread_mutex_t *lock = &link_of(pair.job)->lock;
    pthread_mutex_lock(lock); /* all of it is there before any of it is read */
    send_flood(&flood);
    close(pair.peer);
    pair.peer = -1;
    pthread_mutex_unlock(lock);
    await_end(&pair);
    for (uint32_t each = 0; each < COUNT; each++) {
        unsigned char bytes[BARE];
        struct zc_message told;
        take(&pair, bytes, sizeof(bytes), &told);
        CHECK(is_message(bytes, told.size, each));
        expect_fds(&told, each);
    }
    struct zc_stats stats = pair_close(&pair);
    CHECK(stats.error == EPIPE || stats.error == ECONNRESET);
}

/* Its socket never has room again, and says so at once, each time it is asked. */
static void a_peer_that_only_shuts_down_is_noticed(void)
{
    struct pair pair = pair_open(BARE, 1);
    struct link *link = link_of(pair.job);
    struct flood flood = {.fd = pair.peer, .messages = 2};
    send_flood(&flood);
    await_full(link);
    unsigned char bytes[SIZE_MAX_TAKEN / 2];
    int error;
    do {
        error = zc_link_send(pair.job, bytes, sizeof(bytes), NULL, 0, NULL, 0);
    } while (error == 0);
    CHECK(error == -EAGAIN);
    CHECK(shutdown(pair.peer, SHUT_RDWR) == 0);
    while (leaving(link) > 0)
        sched_yield();
    CHECK(zc_link_send(pair.job, bytes, BARE, NULL, 0, NULL, 0) == -EPIPE);
    struct zc_message told;
    take(&pair, bytes, BARE, &told);
    take(&pair, bytes, BARE, &told);
    CHECK(is_message(bytes, BARE, 1));
    await_end(&pair);
    pair_close(&pair);
}

static void what_nobody_takes_is_closed(void)
{
    struct pair pair = pair_open(SIZE_MAX_TAKEN, PLENTY);
    struct flood flood = {.fd = pair.peer, .messages = 10, .fd_count = 3};
    send_flood(&flood);
    send_until_full(&(struct pair){.job = pair.job}, SIZE_MAX_TAKEN / 2);
    zc_job_cancel(pair.job);
    CHECK(pair_close(&pair).error == ECANCELED);
}

static void refuses_nonsense(void)
{
    struct zc_link options = {.size_max = BARE - 1, .held_max = 1, .fd = 0, .event_fd = 0};
    CHECK(zc_link_start(&options) == -EINVAL);
    options.size_max = UINT32_MAX + UINT64_C(1);
    CHECK(zc_link_start(&options) == -EINVAL);
    struct pair pair = pair_open(BARE, 1);
    CHECK(zc_link_send(pair.job, "", 1, NULL, 0, NULL, ZC_LINK_FDS_MAX + 1) == -EINVAL);
    zc_link_end(pair.job);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
}

int main(void)
{
    unsigned before = open_fds();
    for (unsigned seed = 1; seed <= 12; seed++)
        every_message_of_any_stream_is_whole(seed);
    for (unsigned seed = 1; seed <= 2; seed++)
        two_links_exchange_everything(seed);
    a_flood_has_a_bound(3000, 0, 20000);
    a_flood_has_a_bound(30, ZC_LINK_FDS_MAX, PLENTY);
    a_flood_has_a_bound(1000, 5, PLENTY);
    messages_that_came_at_once_have_a_bound();
    descriptors_beyond_the_most_are_closed_and_told();
    descriptors_that_this_process_may_not_have_are_told();
    a_peer_that_does_not_read_is_waited_for(10000);
    a_peer_that_does_not_read_is_waited_for(BARE);
    a_peer_that_does_not_read_is_waited_for(SIZE_MAX_TAKEN / 2);
    descriptors_of_what_waits_are_sent_once();
    a_size_is_taken(BARE);
    a_size_is_taken(SIZE_MAX_TAKEN);
    a_size_is_bad(0);
    a_size_is_bad(BARE - 1);
    a_size_is_bad(SIZE_MAX_TAKEN + 1);
    a_size_is_bad(UINT32_MAX);
    an_end_within_a_message_is_no_end(0);
    an_end_within_a_message_is_no_end(8);
    an_end_within_a_message_is_no_end(BARE);
    an_end_within_a_message_is_no_end(99);
    its_end_sends_everything_first();
    an_end_is_not_held_up_by_a_peer_that_talks();
    what_is_still_in_the_socket_is_closed();
    a_peer_that_has_gone_is_heard_out();
    a_peer_that_only_shuts_down_is_noticed();
    what_nobody_takes_is_closed();
    refuses_nonsense();
    CHECK(open_fds() == before);
    return 0;
}
