/* Regions that a link answers from memory: what is answered, what is left to the owner, and when.
 */
#include <errno.h>

#include "link_peer.h"

#define INDEX 7u
#define REGION_SIZE 20000u
#define COUNT_MAX 8192u

struct request {
    struct header header;
    uint64_t offset;
    uint32_t region, count;
    unsigned char bytes[COUNT_MAX + 1];
};

#define BARE offsetof(struct request, bytes)

struct served {
    struct pair pair;
    unsigned char memory[REGION_SIZE];
    uint64_t dirty[1];
};

static void serve(struct served *served, uint32_t flags)
{
    served->pair = pair_open(1 << 20, 1 << 20);
    served->dirty[0] = 0;
    for (uint32_t at = 0; at < REGION_SIZE; at++)
        served->memory[at] = (unsigned char)(at * 2654435761u >> 13);
    struct zc_region region = {.address = (uintptr_t)served->memory,
                               .size = REGION_SIZE,
                               .dirty = (uintptr_t)served->dirty,
                               .index = INDEX,
                               .flags = flags,
                               .count_max = COUNT_MAX};
    CHECK(zc_link_serve(served->pair.job, &region) == 0);
}

static void end(struct served *served)
{
    zc_link_end(served->pair.job);
    CHECK(pair_close(&served->pair).end == ZC_END_CLOSED);
}

static struct request read_of(uint64_t offset, uint32_t count)
{
    return (struct request){.header = {.id = 5, .command = COMMAND_REGION_READ, .size = BARE},
                            .offset = offset,
                            .region = INDEX,
                            .count = count};
}

static struct request write_of(uint64_t offset, uint32_t count)
{
    struct request request = read_of(offset, count);
    request.header.command = COMMAND_REGION_WRITE;
    request.header.size += count;
    for (uint32_t at = 0; at < count; at++)
        request.bytes[at] = (unsigned char)(offset + 3 * at);
    return request;
}

static void send_request(const struct served *served, const struct request *request)
{
    put(served->pair.peer, request, request->header.size, NULL, 0);
}

/* The reply has the request's id, command and access, and so many bytes. */
static void expect_reply(const struct served *served, const struct request *to, uint32_t size,
                         struct request *reply)
{
    CHECK(get(served->pair.peer, reply, BARE));
    CHECK(reply->header.size == BARE + size && reply->header.flags == HEADER_REPLY);
    CHECK(reply->header.id == to->header.id && reply->header.command == to->header.command);
    CHECK(reply->header.error == 0 && reply->offset == to->offset);
    CHECK(reply->region == to->region && reply->count == to->count);
    CHECK(get(served->pair.peer, reply->bytes, size));
}

static void reads(const struct served *served, uint64_t offset, uint32_t count)
{
    struct request request = read_of(offset, count), reply;
    send_request(served, &request);
    expect_reply(served, &request, count, &reply);
    CHECK(memcmp(reply.bytes, served->memory + offset, count) == 0);
}

static void writes(struct served *served, uint64_t offset, uint32_t count, uint64_t dirty)
{
    struct request request = write_of(offset, count), reply;
    served->dirty[0] = 0;
    send_request(served, &request);
    expect_reply(served, &request, 0, &reply);
    CHECK(memcmp(served->memory + offset, request.bytes, count) == 0);
    CHECK(served->dirty[0] == dirty);
}

static void nothing_waits(const struct served *served)
{
    struct zc_message told;
    unsigned char bytes[1];
    CHECK(zc_link_take(served->pair.job, bytes, sizeof(bytes), &told) == 0);
}

static void reads_and_writes_are_answered(void)
{
    struct served served;
    serve(&served, ZC_REGION_READ | ZC_REGION_WRITE);
    reads(&served, 0, 1);
    reads(&served, 4095, 4096);
    reads(&served, REGION_SIZE - COUNT_MAX, COUNT_MAX);
    reads(&served, REGION_SIZE, 0);
    writes(&served, 0, 1, 1);
    writes(&served, 4095, 1, 1);
    writes(&served, 4095, 2, 3);
    writes(&served, 4096, 4096, 2);
    writes(&served, 4097, COUNT_MAX, 2 | 4 | 8);
    writes(&served, REGION_SIZE - 1, 1, 16);
    writes(&served, 5, 0, 0);
    nothing_waits(&served);
    end(&served);
}

/* The read behind it is answered, so it was done with; and its reply is the first. */
static void posted_writes_are_not_replied_to(void)
{
    struct served served;
    struct request request = write_of(8000, 300);
    request.header.flags = HEADER_NO_REPLY;
    serve(&served, ZC_REGION_WRITE | ZC_REGION_READ);
    send_request(&served, &request);
    reads(&served, 8000, 300);
    CHECK(memcmp(served.memory + 8000, request.bytes, 300) == 0 && served.dirty[0] == (2 | 4));
    nothing_waits(&served);
    end(&served);
}

/* As it is, with the descriptor; nothing of the region has changed. */
static void is_left(const char *what, uint32_t flags, struct request request, int fd)
{
    struct served served;
    unsigned char before[REGION_SIZE];
    static unsigned char got[sizeof(request)];
    struct zc_message told;
    (void)what;
    serve(&served, flags);
    memcpy(before, served.memory, REGION_SIZE);
    put(served.pair.peer, &request, request.header.size, &fd, fd >= 0);
    take(&served.pair, got, sizeof(got), &told);
    CHECK(told.size == request.header.size && memcmp(got, &request, told.size) == 0);
    CHECK(told.fd_count == (fd >= 0));
    close_all(told.fds, told.fd_count);
    CHECK(memcmp(before, served.memory, REGION_SIZE) == 0 && served.dirty[0] == 0);
    end(&served);
}

static struct request with_flags(struct request request, uint32_t flags)
{
    request.header.flags = flags;
    return request;
}

static struct request with_size(struct request request, uint32_t size)
{
    request.header.size = size;
    return request;
}

static struct request with_region(struct request request, uint32_t region)
{
    request.region = region;
    return request;
}

static struct request with_command(struct request request, uint16_t command)
{
    request.header.command = command;
    return request;
}

static void what_is_not_right_is_left_to_the_owner(void)
{
    const uint32_t both = ZC_REGION_READ | ZC_REGION_WRITE;
    is_left("read-only", ZC_REGION_READ, write_of(0, 1), -1);
    is_left("write-only", ZC_REGION_WRITE, read_of(0, 1), -1);
    is_left("beyond", both, read_of(REGION_SIZE - 10, 11), -1);
    is_left("beyond", both, write_of(REGION_SIZE, 1), -1);
    is_left("wraps", both, read_of(UINT64_MAX, 2), -1);
    is_left("wraps", both, write_of(UINT64_MAX - 1, 3), -1);
    is_left("too much", both, read_of(0, COUNT_MAX + 1), -1);
    is_left("too much", both, write_of(0, COUNT_MAX + 1), -1);
    is_left("most", both, read_of(0, UINT32_MAX), -1);
    is_left("longer", both, with_size(read_of(0, 1), BARE + 1), -1);
    is_left("longer", both, with_size(write_of(0, 10), BARE + 11), -1);
    is_left("shorter", both, with_size(write_of(0, 10), BARE + 9), -1);
    is_left("no access", both, with_size(read_of(0, 1), BARE - 1), -1);
    is_left("header", both, with_size(read_of(0, 1), sizeof(struct header)), -1);
    is_left("another's", both, with_region(read_of(0, 1), INDEX + 1), -1);
    is_left("command", both, with_command(read_of(0, 1), 8), -1);
    is_left("a reply", both, with_flags(read_of(0, 1), HEADER_REPLY), -1);
    is_left("an error", both, with_flags(read_of(0, 1), HEADER_ERROR), -1);
    is_left("no type", both, with_flags(write_of(0, 1), 2), -1);
    is_left("no flag", both, with_flags(write_of(0, 1), 0x40), -1);
    int fd = numbered_fd(1);
    is_left("with a descriptor", both, write_of(0, 1), fd);
    close(fd);
}

/* Its reply could stand before what the owner says to a message that came first. */
static void nothing_is_answered_before_what_came_first(void)
{
    struct served served;
    struct request other = with_command(read_of(0, 0), 1), request = read_of(0, 16);
    struct request got;
    struct zc_message told;
    serve(&served, ZC_REGION_READ);
    send_request(&served, &other);
    take(&served.pair, &got, sizeof(got), &told);
    send_request(&served, &request);
    send_request(&served, &request);
    take(&served.pair, &got, sizeof(got), &told);
    CHECK(got.header.command == COMMAND_REGION_READ);
    CHECK(zc_link_settle(served.pair.job) == 0);
    take(&served.pair, &got, sizeof(got), &told);
    CHECK(got.header.command == COMMAND_REGION_READ);
    CHECK(zc_link_settle(served.pair.job) == 0);
    send_request(&served, &request);
    take(&served.pair, &got, sizeof(got), &told);
    CHECK(zc_link_settle(served.pair.job) == 0 && zc_link_settle(served.pair.job) == 0);
    reads(&served, 100, 16);
    nothing_waits(&served);
    end(&served);
}

/* What it does not read is held up to a bound, and then its requests are held, to another. */
static void a_peer_that_does_not_read_is_answered_within_bounds(void)
{
    const uint64_t held_max = 100000;
    static unsigned char memory[COUNT_MAX];
    struct pair pair = pair_open(1 << 20, held_max);
    struct link *link = link_of(pair.job);
    struct zc_region region = {.address = (uintptr_t)memory,
                               .size = COUNT_MAX,
                               .index = INDEX,
                               .flags = ZC_REGION_READ,
                               .count_max = COUNT_MAX};
    CHECK(zc_link_serve(pair.job, &region) == 0);
    struct request request = read_of(0, COUNT_MAX), got;
    CHECK(zc_fd_nonblocking(pair.peer, 1) == 0);
    bool is_full = false;
    uint32_t sent = 0;
    while (!is_full) {
        ssize_t some = send(pair.peer, &request, BARE, 0);
        CHECK(some == (ssize_t)BARE || (some < 0 && errno == EAGAIN));
        sent += some > 0;
        pthread_mutex_lock(&link->lock);
        CHECK(link->leaving.held <= held_max);
        CHECK(link->arrived.held < held_max + sizeof(struct message) + BARE);
        is_full = !messages_have_room(&link->arrived, held_max);
        pthread_mutex_unlock(&link->lock);
    }
    CHECK(zc_fd_nonblocking(pair.peer, 0) == 1);
    struct zc_message told;
    uint32_t answered = 0;
    pthread_mutex_lock(&link->lock);
    uint64_t left = link->unsettled;
    pthread_mutex_unlock(&link->lock);
    CHECK(left > 0 && left < sent);
    take(&pair, &got, sizeof(got), &told);
    CHECK(memcmp(&got, &request, BARE) == 0);
    while (recv(pair.peer, &got, BARE + COUNT_MAX, MSG_WAITALL | (answered ? MSG_DONTWAIT : 0)) > 0)
        answered++;
    CHECK(answered > 0 && answered <= sent - left);
    zc_job_cancel(pair.job);
    CHECK(pair_close(&pair).error == ECANCELED);
}

int main(void)
{
    unsigned before = open_fds();
    reads_and_writes_are_answered();
    posted_writes_are_not_replied_to();
    what_is_not_right_is_left_to_the_owner();
    nothing_is_answered_before_what_came_first();
    a_peer_that_does_not_read_is_answered_within_bounds();
    CHECK(open_fds() == before);
    return 0;
}
