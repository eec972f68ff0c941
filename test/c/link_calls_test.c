/* Jobs that call over a link, and a device at its other end that is honest, or is not. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "link_peer.h"

#define SIZE 5000u
#define SIZE_MAX_TAKEN 100000u

struct data_message {
    struct header header;
    uint32_t argsz, size;
    unsigned char bytes[SIZE_MAX_TAKEN];
};

#define BARE offsetof(struct data_message, bytes)

/* Answers on a thread of its own, until the connection ends. */
struct device {
    int fd;
    void (*answer)(struct device *device, struct data_message *request);
    uint64_t requests; /* so far */
    uint64_t given;    /* bytes of its stream, so far */
    uint64_t taken;    /* bytes that were written to it */
    uint64_t has;      /* bytes of its stream, for reads */
    uint32_t error;    /* that it refuses requests with */
    uint64_t refuses;  /* the request that it does this to, counted from 1 */
};

struct table {
    struct pair pair;
    struct device device;
    pthread_t thread;
    int event_fd; /* of the jobs */
};

static unsigned char byte_at(uint64_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void *device_main(void *argument)
{
    struct device *device = argument;
    static _Thread_local struct data_message request;
    while (get(device->fd, &request.header, sizeof(request.header))) {
        CHECK(request.header.size <= sizeof(request));
        if (!get(device->fd, &request.argsz, request.header.size - sizeof(request.header)))
            break;
        device->requests++;
        device->answer(device, &request);
    }
    return NULL;
}

static void table_open(struct table *table, struct device device)
{
    table->pair = pair_open(SIZE_MAX_TAKEN, 1000000);
    table->device = device;
    table->device.fd = table->pair.peer;
    table->event_fd = zc_event_open();
    CHECK(pthread_create(&table->thread, NULL, device_main, &table->device) == 0);
}

static void table_close(struct table *table)
{
    zc_job_cancel(table->pair.job);
    await_end(&table->pair);
    shutdown(table->pair.ours, SHUT_RDWR);
    CHECK(pthread_join(table->thread, NULL) == 0);
    pair_close(&table->pair);
    close(table->event_fd);
}

/* --- what devices answer --- */

/* Whether somebody is still there is for the test to say. */
static void say(const struct device *device, const void *bytes, size_t size)
{
    if (send(device->fd, bytes, size, MSG_NOSIGNAL) < 0)
        CHECK(errno == EPIPE || errno == ECONNRESET);
}

static void reply(const struct device *device, struct data_message *message, uint32_t size)
{
    message->header.flags = HEADER_REPLY;
    message->header.size = size;
    say(device, message, size);
}

static void refuse(const struct device *device, struct data_message *message)
{
    message->header.flags = HEADER_REPLY | HEADER_ERROR;
    message->header.error = device->error;
    message->header.size = sizeof(message->header);
    say(device, message, sizeof(message->header));
}

/* The data of the next reply, as much as there is. */
static uint32_t next_data(struct device *device, struct data_message *message)
{
    uint64_t left = device->has - device->given;
    uint32_t asked = message->size;
    CHECK(message->header.command == COMMAND_MIG_DATA_READ && message->header.size == BARE);
    CHECK(message->argsz == 8 + asked);
    message->size = left < asked ? (uint32_t)left : asked;
    for (uint32_t at = 0; at < message->size; at++)
        message->bytes[at] = byte_at(device->given + at);
    device->given += message->size;
    return message->size;
}

static void gives(struct device *device, struct data_message *request)
{
    if (device->requests == device->refuses)
        refuse(device, request);
    else
        reply(device, request, (uint32_t)BARE + next_data(device, request));
}

static void gives_padded(struct device *device, struct data_message *request)
{
    uint32_t asked = request->size, size = next_data(device, request);
    memset(request->bytes + size, 0xee, asked - size);
    reply(device, request, (uint32_t)BARE + asked);
}

/* The rest comes when the first bytes have been read: it need not be. */
static void say_in_pieces(const struct device *device, const void *bytes, size_t size, size_t first)
{
    int unread = size > first;
    say(device, bytes, unread ? first : size);
    /* Nobody reads any more once the link has ended. */
    for (int tries = 0; unread && tries < 1000000; tries++) {
        CHECK(ioctl(device->fd, SIOCOUTQ, &unread) == 0);
        sched_yield();
    }
    if (size > first)
        say(device, (const char *)bytes + first, size - first);
}

static void give_in_pieces(struct device *device, struct data_message *request, size_t first)
{
    uint32_t size = (uint32_t)BARE + next_data(device, request);
    request->header.flags = HEADER_REPLY;
    request->header.size = size;
    say_in_pieces(device, request, size, first);
}

static void gives_in_pieces(struct device *device, struct data_message *request)
{
    give_in_pieces(device, request, BARE + 100);
}

static void gives_header_first(struct device *device, struct data_message *request)
{
    give_in_pieces(device, request, sizeof(request->header));
}

static void gives_no_whole_head_first(struct device *device, struct data_message *request)
{
    give_in_pieces(device, request, BARE - 1);
}

static void gives_head_first(struct device *device, struct data_message *request)
{
    give_in_pieces(device, request, BARE);
}

static void gives_padded_in_pieces(struct device *device, struct data_message *request)
{
    uint32_t asked = request->size, size = next_data(device, request);
    memset(request->bytes + size, 0xee, asked - size);
    request->header.flags = HEADER_REPLY;
    request->header.size = (uint32_t)BARE + asked;
    say_in_pieces(device, request, request->header.size, BARE + 100);
}

/* Every second one before the first of a pair, as long as there is something to give. */
static void gives_out_of_order(struct device *device, struct data_message *request)
{
    static _Thread_local struct data_message held;
    if (device->requests % 2 == 1 && device->given == device->has) {
        gives(device, request);
        return;
    }
    request->header.flags = HEADER_REPLY;
    request->header.size = (uint32_t)BARE + next_data(device, request);
    if (device->requests % 2 == 1) {
        memcpy(&held, request, request->header.size);
        return;
    }
    say_in_pieces(device, request, request->header.size, BARE + 100);
    say_in_pieces(device, &held, held.header.size, BARE + 100);
}

static void tells_more_than_it_gives(struct device *device, struct data_message *request)
{
    uint32_t size = next_data(device, request);
    request->size++;
    reply(device, request, (uint32_t)BARE + size);
}

static void gives_more_than_was_asked(struct device *device, struct data_message *request)
{
    (void)next_data(device, request);
    request->size++;
    reply(device, request, (uint32_t)BARE + request->size);
}

static void gives_no_size(struct device *device, struct data_message *request)
{
    reply(device, request, BARE - 4);
}

/* In one call, so that they are looked at together; the second is not of this stream. */
static void gives_twice(struct device *device, struct data_message *request)
{
    static _Thread_local unsigned char both[2 * sizeof(*request)];
    uint32_t size = (uint32_t)BARE + next_data(device, request);
    request->header.flags = HEADER_REPLY;
    request->header.size = size;
    memcpy(both, request, size);
    memset(request->bytes, 0xdd, size - BARE);
    memcpy(both + size, request, size);
    say(device, both, 2 * size);
}

static void says_nothing(struct device *device, struct data_message *request)
{
    (void)device;
    (void)request;
}

static void takes(struct device *device, struct data_message *request)
{
    CHECK(request->header.command == COMMAND_MIG_DATA_WRITE);
    CHECK(request->header.size == BARE + request->size && request->argsz == 8 + request->size);
    for (uint32_t at = 0; at < request->size; at++)
        CHECK(request->bytes[at] == byte_at(device->taken + at));
    device->taken += request->size;
    if (device->requests == device->refuses)
        refuse(device, request);
    else
        reply(device, request, BARE);
}

static void echoes(struct device *device, struct data_message *request)
{
    if (device->requests == device->refuses)
        refuse(device, request);
    else
        reply(device, request, request->header.size);
}

static void answers_all(struct device *device, struct data_message *request)
{
    if (request->header.command == COMMAND_MIG_DATA_READ)
        gives(device, request);
    else if (request->header.command == COMMAND_MIG_DATA_WRITE)
        takes(device, request);
    else
        echoes(device, request);
}

static void hangs_up(struct device *device, struct data_message *request)
{
    if (device->requests >= 3)
        shutdown(device->fd, SHUT_RDWR);
    else
        answers_all(device, request);
}

/* --- jobs --- */

static int64_t start(const struct table *table, int64_t (*start_job)(const struct zc_link_data *),
                     int fd, uint64_t limit)
{
    struct zc_link_data options = {.link = table->pair.job,
                                   .limit = limit,
                                   .size = SIZE,
                                   .fd = fd,
                                   .event_fd = table->event_fd};
    int64_t job = start_job(&options);
    CHECK(job > 0);
    return job;
}

static int new_file(void)
{
    int fd = memfd_create("data", MFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static void expect_data(int fd, uint64_t size)
{
    unsigned char *bytes = malloc(size + 1);
    CHECK(bytes && pread(fd, bytes, size + 1, 0) == (ssize_t)size);
    for (uint64_t at = 0; at < size; at++)
        CHECK(bytes[at] == byte_at(at));
    free(bytes);
}

static struct zc_stats pull(struct device device, uint64_t limit, int fd)
{
    struct table table;
    table_open(&table, device);
    struct zc_stats stats = await(start(&table, zc_link_pull_start, fd, limit), table.event_fd);
    table_close(&table);
    return stats;
}

static void a_pull_has_all_data(void (*answer)(struct device *, struct data_message *),
                                uint64_t has)
{
    int fd = new_file();
    struct zc_stats stats = pull((struct device){.answer = answer, .has = has}, UINT64_MAX, fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_EOF && stats.bytes == has);
    CHECK(stats.calls >= has / SIZE + 1);
    expect_data(fd, has);
    close(fd);
}

/* Into a pipe that has room for all: each piece takes a page of it. */
static void a_pull_is_spliced(void (*answer)(struct device *, struct data_message *), uint64_t has,
                              bool is_spliced)
{
    static unsigned char bytes[65536];
    int fds[2];
    CHECK(pipe(fds) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0);
    struct zc_stats stats = pull((struct device){.answer = answer, .has = has}, UINT64_MAX, fds[1]);
    CHECK(stats.error == 0 && stats.end == ZC_END_EOF && stats.bytes == has);
    CHECK(is_spliced ? stats.uncopied > 0 : stats.uncopied == 0);
    CHECK(read(fds[0], bytes, sizeof(bytes)) == (ssize_t)has);
    for (uint64_t at = 0; at < has; at++)
        CHECK(bytes[at] == byte_at(at));
    close(fds[0]);
    close(fds[1]);
}

/* The next reply's data go into a pipe, while those before are drained into who does not take them.
 */
static void a_sink_that_waits_holds_up_no_other(void)
{
    int fds[2], size = 4096;
    unsigned char bytes[64];
    struct zc_message told;
    struct table table;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    table_open(&table, (struct device){.answer = gives_head_first, .has = UINT64_MAX});
    int64_t job = start(&table, zc_link_pull_start, fds[1], UINT64_MAX);
    const struct zc_stats *now = (const struct zc_stats *)(intptr_t)job;
    uint64_t before = 0;
    for (int still = 0; still < 10; still++) { /* until nothing moves any more */
        usleep(20000);
        uint64_t bytes_now = __atomic_load_n(&now->bytes, __ATOMIC_RELAXED);
        if (bytes_now == 0 || bytes_now != before)
            still = 0;
        before = bytes_now;
    }
    alarm(20);
    CHECK(zc_link_take(table.pair.job, bytes, sizeof(bytes), &told) == 0);
    alarm(0);
    CHECK(zc_job_cancel(job) == 0);
    CHECK(await(job, table.event_fd).error == ECANCELED);
    table_close(&table);
    close(fds[0]);
    close(fds[1]);
}

/* splice(2) refuses what is opened with O_APPEND. */
static void a_sink_that_takes_no_splice_is_written_to(void)
{
    int fd = new_file();
    CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
    struct device device = {.answer = gives_in_pieces, .has = 10 * SIZE + 1};
    struct zc_stats stats = pull(device, UINT64_MAX, fd);
    CHECK(stats.error == 0 && stats.bytes == 10 * SIZE + 1 && stats.uncopied == 0);
    expect_data(fd, 10 * SIZE + 1);
    close(fd);
}

static void a_pull_ends_at_its_limit(uint64_t has, uint64_t limit, uint64_t end)
{
    int fd = new_file();
    struct zc_stats stats = pull((struct device){.answer = gives, .has = has}, limit, fd);
    CHECK(stats.error == 0 && stats.end == end && stats.bytes == (has < limit ? has : limit));
    expect_data(fd, stats.bytes);
    close(fd);
}

static void a_pull_fails(struct device device, uint64_t error, uint64_t bytes)
{
    int fd = new_file();
    struct zc_stats stats = pull(device, UINT64_MAX, fd);
    CHECK(stats.error == error && stats.side == ZC_SIDE_SOURCE && stats.bytes == bytes);
    expect_data(fd, bytes);
    close(fd);
}

static void a_sink_that_has_gone_is_the_sinks(void)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    close(fds[0]);
    struct zc_stats stats = pull((struct device){.answer = gives, .has = 10}, UINT64_MAX, fds[1]);
    CHECK(stats.error == EPIPE && stats.side == ZC_SIDE_SINK && stats.bytes == 0);
    close(fds[1]);
}

/* Blocking or not; meanwhile the link carries what the owner says. */
static void a_sink_that_blocks_is_waited_for(bool is_nonblocking,
                                             void (*answer)(struct device *, struct data_message *))
{
    const uint64_t has = 1000000;
    unsigned char bytes[BARE];
    struct zc_message told;
    struct table table;
    int fds[2];
    CHECK(pipe(fds) == 0 && zc_fd_nonblocking(fds[1], is_nonblocking) == 0);
    table_open(&table, (struct device){.answer = answer, .has = has});
    int64_t job = start(&table, zc_link_pull_start, fds[1], UINT64_MAX);
    const struct zc_stats *now = (const struct zc_stats *)(intptr_t)job;
    while (__atomic_load_n(&now->bytes, __ATOMIC_RELAXED) == 0)
        sched_yield();
    struct data_message own = {.header = {.id = 1, .command = COMMAND_MIG_DATA_READ, .size = BARE},
                               .argsz = 8};
    CHECK(zc_link_send(table.pair.job, &own, BARE, NULL, 0, NULL, 0) == 0);
    take(&table.pair, bytes, sizeof(bytes), &told);
    for (uint64_t at = 0; at < has; at++) {
        unsigned char byte;
        static unsigned char buffer[65536];
        static ssize_t there, used;
        if (used == there) {
            there = read(fds[0], buffer, sizeof(buffer));
            CHECK(there > 0);
            used = 0;
        }
        byte = buffer[used++];
        CHECK(byte == byte_at(at));
    }
    struct zc_stats stats = await(job, table.event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_EOF && stats.bytes == has);
    table_close(&table);
    close(fds[0]);
    close(fds[1]);
}

/* Again and again, but so that its thread can do more than take signals. */
static void ask_to_end(int64_t job, int event_fd)
{
    zc_job_cancel(job);
    poll(&(struct pollfd){.fd = event_fd, .events = POLLIN}, 1, 10);
}

static void a_pull_that_waits_is_cancelled(int sink,
                                           void (*answer)(struct device *, struct data_message *))
{
    struct table table;
    table_open(&table, (struct device){.answer = answer, .has = UINT64_MAX});
    int64_t job = start(&table, zc_link_pull_start, sink, UINT64_MAX);
    const struct zc_stats *now = (const struct zc_stats *)(intptr_t)job;
    while (__atomic_load_n(&now->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED)
        ask_to_end(job, table.event_fd);
    CHECK(await(job, table.event_fd).error == ECANCELED);
    table_close(&table);
}

/* The reply comes when it is gone, and another waits: that one has ids of its own. */
static void a_late_reply_reaches_no_other(void)
{
    const uint64_t size = 100;
    static struct data_message late, next[2];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 1000000);
    struct table table = {.pair = pair, .event_fd = zc_event_open()};
    int fd = new_file();
    int64_t job = start(&table, zc_link_pull_start, fd, size);
    CHECK(get(pair.peer, &late, BARE));
    CHECK(zc_job_cancel(job) == 0 && await(job, table.event_fd).error == ECANCELED);
    job = start(&table, zc_link_pull_start, fd, size);
    CHECK(get(pair.peer, &next[0], BARE));
    CHECK(late.header.id >= CALLER_ID_MIN && next[0].header.id >= CALLER_ID_MIN);
    struct device device = {.fd = pair.peer, .requests = 1, .has = 2 * size, .given = size};
    gives(&device, &late);
    device.given = 0;
    gives(&device, &next[0]);
    struct zc_stats stats = await(job, table.event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.bytes == size);
    expect_data(fd, size);
    struct zc_message told;
    take(&pair, &next[1], sizeof(next[1]), &told); /* who did not ask, and knows what to do */
    CHECK(next[1].header.id == late.header.id);
    zc_link_end(pair.job);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
    close(table.event_fd);
    close(fd);
}

/* While one call is under way, so many others come and go that ids begin anew. */
static void ids_that_are_in_use_are_not_given_again(void)
{
    static struct data_message first;
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 1000000);
    struct table table = {.pair = pair, .event_fd = zc_event_open()};
    int fd = new_file();
    int64_t job = start(&table, zc_link_pull_start, fd, 1);
    CHECK(get(pair.peer, &first, BARE));
    struct link *link = link_of(pair.job);
    for (uint32_t each = 0; each < 100; each++) {
        struct caller caller = {.take = NULL};
        CHECK(link_add_caller(link, &caller, 1000) == 0);
        CHECK(caller.first_id >= CALLER_ID_MIN);
        CHECK(first.header.id < caller.first_id || first.header.id - caller.first_id >= 1000);
        link_remove_caller(link, &caller);
    }
    struct caller callers[32];
    int error = 0;
    uint32_t count = 0;
    while (error == 0 && count < 32)
        error = link_add_caller(link, &callers[count++], 1024);
    CHECK(error == -EBUSY && count > 30);
    for (uint32_t each = 0; each + 1 < count; each++)
        link_remove_caller(link, &callers[each]);
    struct device device = {.fd = pair.peer, .requests = 1, .has = 1};
    gives(&device, &first);
    CHECK(await(job, table.event_fd).bytes == 1);
    zc_link_end(pair.job);
    pair_close(&pair);
    close(table.event_fd);
    close(fd);
}

static int file_with(uint64_t size)
{
    int fd = new_file();
    unsigned char *bytes = malloc(size + 1);
    CHECK(bytes);
    for (uint64_t at = 0; at < size; at++)
        bytes[at] = byte_at(at);
    CHECK(write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    free(bytes);
    return fd;
}

static struct zc_stats push(struct device device, uint64_t limit, int fd, uint64_t *taken)
{
    struct table table;
    table_open(&table, device);
    struct zc_stats stats = await(start(&table, zc_link_push_start, fd, limit), table.event_fd);
    table_close(&table);
    *taken = table.device.taken;
    return stats;
}

static void a_push_gives_all_data(uint64_t has, uint64_t limit, uint64_t end)
{
    int fd = file_with(has);
    uint64_t taken, all = has < limit ? has : limit;
    struct zc_stats stats = push((struct device){.answer = takes}, limit, fd, &taken);
    CHECK(stats.error == 0 && stats.end == end && stats.bytes == all && taken == all);
    CHECK(stats.calls == (all + SIZE - 1) / SIZE);
    close(fd);
}

static void a_push_fails(struct device device, uint64_t error, uint64_t bytes)
{
    int fd = file_with(20 * SIZE);
    uint64_t taken;
    struct zc_stats stats = push(device, UINT64_MAX, fd, &taken);
    CHECK(stats.error == error && stats.side == ZC_SIDE_SINK && stats.bytes == bytes);
    close(fd);
}

static void a_source_that_fails_is_the_sources(void)
{
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t taken;
    struct zc_stats stats = push((struct device){.answer = takes}, UINT64_MAX, fd, &taken);
    CHECK(stats.error == EISDIR && stats.side == ZC_SIDE_SOURCE && taken == 0);
    close(fd);
}

/* --- one call, over and over --- */

static uint64_t counts[ZC_HISTOGRAM_BUCKETS];

static int64_t start_calls(const struct table *table, uint32_t size, uint64_t limit, uint32_t depth,
                           uint64_t duration)
{
    static unsigned char request[SIZE_MAX_TAKEN];
    memset(counts, 0, sizeof(counts));
    fill_message(request, size, 1);
    struct zc_link_calls options = {.link = table->pair.job,
                                    .request = (uintptr_t)request,
                                    .request_size = size,
                                    .limit = limit,
                                    .duration = duration,
                                    .counts = (uintptr_t)counts,
                                    .depth = depth,
                                    .event_fd = table->event_fd};
    return zc_link_calls_start(&options);
}

static uint64_t counted(void)
{
    uint64_t all = 0;
    for (unsigned each = 0; each < ZC_HISTOGRAM_BUCKETS; each++)
        all += counts[each];
    return all;
}

/* More than goes into the socket at once, and more than the owner may have waiting, too. */
static void calls_are_made_to_their_limit(uint32_t size, uint64_t limit, uint32_t depth)
{
    struct table table;
    table_open(&table, (struct device){.answer = echoes});
    struct zc_stats stats = await(start_calls(&table, size, limit, depth, 0), table.event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.calls == limit);
    CHECK(stats.bytes == limit * size && counted() == limit);
    table_close(&table);
    CHECK(table.device.requests == limit);
}

static void calls_end_when_their_time_is_over(void)
{
    struct table table;
    table_open(&table, (struct device){.answer = echoes});
    struct zc_stats stats =
        await(start_calls(&table, BARE, UINT64_MAX, 8, 20000000), table.event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.calls == counted());
    table_close(&table);
    CHECK(table.device.requests == stats.calls);
}

static void calls_fail(struct device device, uint64_t error, uint64_t calls_min)
{
    struct table table;
    table_open(&table, device);
    struct zc_stats stats = await(start_calls(&table, BARE, UINT64_MAX, 4, 0), table.event_fd);
    CHECK(stats.error == error && stats.calls == counted() && stats.calls >= calls_min);
    table_close(&table);
}

static void calls_of_nonsense_are_refused(void)
{
    struct table table;
    table_open(&table, (struct device){.answer = echoes});
    CHECK(start_calls(&table, sizeof(struct header) - 1, 1, 1, 0) == -EINVAL);
    CHECK(start_calls(&table, BARE, 1, 0, 0) == -EINVAL);
    CHECK(start_calls(&table, BARE, 1, ZC_LINK_DEPTH_MAX + 1, 0) == -EINVAL);
    struct zc_link_data options = {.link = table.pair.job, .event_fd = table.event_fd};
    CHECK(zc_link_pull_start(&options) == -EINVAL && zc_link_push_start(&options) == -EINVAL);
    options.size = UINT32_MAX;
    CHECK(zc_link_pull_start(&options) == -EINVAL && zc_link_push_start(&options) == -EINVAL);
    table_close(&table);
}

/* It reads nothing, and replies and replies: that must not make us queue more and more. */
static void a_flood_of_replies_has_a_bound(void)
{
    const uint32_t depth = 4, size = 50000;
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 1000);
    struct table table = {.pair = pair, .event_fd = zc_event_open()};
    int64_t job = start_calls(&table, size, UINT64_MAX, depth, 0);
    struct header request, answer = {.size = sizeof(answer), .flags = HEADER_REPLY};
    CHECK(get(pair.peer, &request, sizeof(request)));
    struct link *link = link_of(pair.job);
    for (uint32_t each = 0; each < 20000; each++) {
        answer.id = (uint16_t)(request.id + each % depth);
        put(pair.peer, &answer, sizeof(answer), NULL, 0);
        pthread_mutex_lock(&link->lock);
        CHECK(link->leaving.held <= depth * (sizeof(struct message) + size));
        pthread_mutex_unlock(&link->lock);
    }
    shutdown(pair.peer, SHUT_RDWR);
    CHECK(await(job, table.event_fd).error == EPIPE);
    pair_close(&pair);
    close(table.event_fd);
}

/* Two replies to the same call, and some to calls that were not made, are no answers. */
static void replies_that_nobody_asked_for_are_not_counted(void)
{
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 100000);
    struct table table = {.pair = pair, .event_fd = zc_event_open()};
    int64_t job = start_calls(&table, sizeof(struct header), 2, 8, 0);
    const struct zc_stats *now = (const struct zc_stats *)(intptr_t)job;
    struct header request[2], answer = {.size = sizeof(answer), .flags = HEADER_REPLY};
    static const uint16_t slots[] = {0, 0, 2, 2, 7};
    unsigned char bytes[sizeof(struct header)];
    struct zc_message told;
    CHECK(get(pair.peer, request, sizeof(request)));
    for (size_t each = 0; each < sizeof(slots) / sizeof(slots[0]); each++) {
        answer.id = (uint16_t)(request[0].id + slots[each]);
        put(pair.peer, &answer, sizeof(answer), NULL, 0);
    }
    fill_message(bytes, sizeof(bytes), 1);
    put(pair.peer, bytes, sizeof(bytes), NULL, 0);
    take(&pair, bytes, sizeof(bytes), &told); /* all before it have been looked at */
    CHECK(__atomic_load_n(&now->calls, __ATOMIC_RELAXED) == 1);
    answer.id = request[1].id;
    put(pair.peer, &answer, sizeof(answer), NULL, 0);
    struct zc_stats stats = await(job, table.event_fd);
    CHECK(stats.end == ZC_END_LIMIT && stats.calls == 2 && counted() == 2);
    zc_link_end(pair.job);
    pair_close(&pair);
    close(table.event_fd);
}

/* They go out all the same: their replies are nobody's. */
static void calls_that_wait_outlive_their_job(void)
{
    const uint32_t depth = 20, size = 50000;
    static unsigned char request[SIZE_MAX_TAKEN];
    struct pair pair = pair_open(SIZE_MAX_TAKEN, 1000);
    struct table table = {.pair = pair, .event_fd = zc_event_open()};
    int64_t job = start_calls(&table, size, UINT64_MAX, depth, 0);
    struct link *link = link_of(pair.job);
    uint64_t held;
    do {
        sched_yield();
        pthread_mutex_lock(&link->lock);
        held = link->leaving.held;
        pthread_mutex_unlock(&link->lock);
    } while (held < 10 * size);
    CHECK(zc_job_cancel(job) == 0 && await(job, table.event_fd).error == ECANCELED);
    for (uint32_t each = 0; each < depth; each++)
        CHECK(get(pair.peer, request, size));
    zc_link_end(pair.job);
    CHECK(pair_close(&pair).end == ZC_END_CLOSED);
    close(table.event_fd);
}

/* --- all at once --- */

static void jobs_share_a_link(void)
{
    enum { OWN = 2000 };
    const uint64_t has = 3000000;
    struct table table;
    unsigned char own[BARE];
    struct zc_message told;
    int from = file_with(has), to = new_file();
    table_open(&table, (struct device){.answer = answers_all, .has = has});
    int64_t pulls = start(&table, zc_link_pull_start, to, UINT64_MAX);
    int64_t pushes = start(&table, zc_link_push_start, from, UINT64_MAX);
    int64_t calls = start_calls(&table, BARE, 3000, 16, 0);
    for (uint32_t each = 0; each < OWN; each++) {
        fill_message(own, BARE, each);
        CHECK(zc_link_send(table.pair.job, own, BARE, NULL, 0, NULL, 0) == 0);
        take(&table.pair, own, sizeof(own), &told);
        struct header header;
        memcpy(&header, own, sizeof(header));
        CHECK(told.size == BARE && header.id == each && header.flags == HEADER_REPLY);
    }
    struct zc_stats pulled = await(pulls, table.event_fd), pushed = await(pushes, table.event_fd);
    struct zc_stats called = await(calls, table.event_fd);
    CHECK(pulled.end == ZC_END_EOF && pulled.bytes == has);
    CHECK(pushed.end == ZC_END_EOF && pushed.bytes == has && called.calls == 3000);
    expect_data(to, has);
    table_close(&table);
    close(from);
    close(to);
}

/* The handle is free by then; what they share is not. */
static void a_job_outlives_its_link(void)
{
    struct table table;
    int fds[2];
    CHECK(pipe(fds) == 0);
    table_open(&table, (struct device){.answer = gives, .has = UINT64_MAX});
    int64_t job = start(&table, zc_link_pull_start, fds[1], UINT64_MAX);
    const struct zc_stats *now = (const struct zc_stats *)(intptr_t)job;
    while (__atomic_load_n(&now->bytes, __ATOMIC_RELAXED) == 0)
        sched_yield();
    int jobs_news = table.event_fd;
    table.event_fd = zc_event_open();
    table_close(&table);
    unsigned char buffer[65536];
    while (__atomic_load_n(&now->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED) {
        struct pollfd ready = {.fd = fds[0], .events = POLLIN};
        if (poll(&ready, 1, 1) > 0)
            CHECK(read(fds[0], buffer, sizeof(buffer)) > 0);
    }
    struct zc_stats stats = await(job, jobs_news);
    CHECK(stats.error == EPIPE && stats.side == ZC_SIDE_SOURCE);
    close(jobs_news);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    unsigned before = open_fds();
    a_pull_has_all_data(gives, 0);
    a_pull_has_all_data(gives, 10 * SIZE);
    a_pull_has_all_data(gives, 10 * SIZE + 1);
    a_pull_has_all_data(gives_padded, 0);
    a_pull_has_all_data(gives_padded, 7 * SIZE - 1);
    a_pull_ends_at_its_limit(10 * SIZE, 0, ZC_END_LIMIT);
    a_pull_ends_at_its_limit(10 * SIZE, 1, ZC_END_LIMIT);
    a_pull_ends_at_its_limit(10 * SIZE, 3 * SIZE + 1, ZC_END_LIMIT);
    a_pull_ends_at_its_limit(3 * SIZE, 3 * SIZE, ZC_END_LIMIT);
    a_pull_ends_at_its_limit(3 * SIZE, 3 * SIZE + 1, ZC_END_EOF);
    a_pull_ends_at_its_limit(20, SIZE, ZC_END_EOF);
    const uint64_t much = 100 * SIZE;
    a_pull_fails((struct device){.answer = gives, .has = much, .refuses = 1, .error = EIO}, EIO, 0);
    a_pull_fails((struct device){.answer = gives, .has = much, .refuses = 4, .error = ENOMSG},
                 ENOMSG, 3 * SIZE);
    a_pull_fails((struct device){.answer = gives, .has = much, .refuses = 1, .error = 0}, EINVAL,
                 0);
    a_pull_fails((struct device){.answer = gives, .has = much, .refuses = 1, .error = UINT32_MAX},
                 EINVAL, 0);
    a_pull_fails((struct device){.answer = tells_more_than_it_gives, .has = 10}, EPROTO, 0);
    a_pull_fails((struct device){.answer = gives_more_than_was_asked, .has = much}, EPROTO, 0);
    a_pull_fails((struct device){.answer = gives_no_size, .has = much}, EPROTO, 0);
    a_pull_fails((struct device){.answer = hangs_up, .has = much}, EPIPE, 2 * SIZE);
    a_pull_ends_at_its_limit(10 * SIZE, 2 * SIZE, ZC_END_LIMIT);
    int fd = new_file();
    CHECK(pull((struct device){.answer = gives_twice, .has = much}, 2 * SIZE, fd).bytes ==
          2 * SIZE);
    expect_data(fd, 2 * SIZE);
    a_sink_that_has_gone_is_the_sinks();
    a_sink_that_blocks_is_waited_for(false, gives);
    a_sink_that_blocks_is_waited_for(true, gives);
    a_sink_that_blocks_is_waited_for(false, gives_in_pieces);
    a_sink_that_blocks_is_waited_for(true, gives_in_pieces);
    a_sink_that_takes_no_splice_is_written_to();
    a_pull_is_spliced(gives_in_pieces, 10 * SIZE, true);
    a_pull_is_spliced(gives_in_pieces, 10 * SIZE + 1, true);
    a_pull_is_spliced(gives_padded_in_pieces, 7 * SIZE - 1, true);
    a_pull_is_spliced(gives_padded_in_pieces, 7 * SIZE + 1, true);
    a_pull_is_spliced(gives_out_of_order, 9 * SIZE, true);
    a_pull_is_spliced(gives_head_first, 10 * SIZE + 1, true);
    a_pull_has_all_data(gives_header_first, 10 * SIZE + 1);
    a_pull_has_all_data(gives_no_whole_head_first, 10 * SIZE + 1);
    a_sink_that_waits_holds_up_no_other();
    a_pull_that_waits_is_cancelled(fd, says_nothing);
    close(fd);
    int fds[2];
    CHECK(pipe(fds) == 0);
    a_pull_that_waits_is_cancelled(fds[1], gives);
    close(fds[0]);
    close(fds[1]);
    a_late_reply_reaches_no_other();
    ids_that_are_in_use_are_not_given_again();
    a_push_gives_all_data(0, UINT64_MAX, ZC_END_EOF);
    a_push_gives_all_data(10 * SIZE, UINT64_MAX, ZC_END_EOF);
    a_push_gives_all_data(10 * SIZE + 3, UINT64_MAX, ZC_END_EOF);
    a_push_gives_all_data(10 * SIZE, 2 * SIZE + 3, ZC_END_LIMIT);
    a_push_fails((struct device){.answer = takes, .refuses = 1, .error = EIO}, EIO, 0);
    a_push_fails((struct device){.answer = takes, .refuses = 4, .error = ENOSPC}, ENOSPC, 3 * SIZE);
    a_push_fails((struct device){.answer = hangs_up}, EPIPE, 2 * SIZE);
    a_source_that_fails_is_the_sources();
    calls_are_made_to_their_limit(BARE, 0, 4);
    calls_are_made_to_their_limit(BARE, 1, 4);
    calls_are_made_to_their_limit(BARE, 3000, 4);
    calls_are_made_to_their_limit(50000, 300, 64);
    calls_are_made_to_their_limit(BARE, 3000, ZC_LINK_DEPTH_MAX);
    calls_end_when_their_time_is_over();
    calls_fail((struct device){.answer = echoes, .refuses = 3, .error = EIO}, EIO, 2);
    calls_fail((struct device){.answer = hangs_up}, EPIPE, 0);
    calls_of_nonsense_are_refused();
    a_flood_of_replies_has_a_bound();
    replies_that_nobody_asked_for_are_not_counted();
    calls_that_wait_outlive_their_job();
    jobs_share_a_link();
    a_job_outlives_its_link();
    CHECK(open_fds() == before);
    return 0;
}
