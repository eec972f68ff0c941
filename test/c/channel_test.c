/* The channel under the sanitizers: over TCP on loopback, with a peer that reads, stalls or resets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "check.h"

#define WRITES 300
#define SIZE 40000
#define DEPTH 16

static int event_fd;

static void connect_pair(int *near, int *far)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    *near = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(*near, (struct sockaddr *)&address, length) == 0);
    *far = accept(listener, NULL, NULL);
    CHECK(*far >= 0);
    close(listener);
}

static int64_t start(int fd, uint32_t flags)
{
    struct zc_channel options = {.piece = 1 << 16,
                                 .worthwhile = 16384,
                                 .fd = fd,
                                 .event_fd = event_fd,
                                 .depth = DEPTH,
                                 .flags = flags};
    int64_t job = zc_channel_start(&options);
    CHECK(job > 0);
    return job;
}

static int write_one(int64_t job, uint64_t tag, char *memory)
{
    struct zc_part parts[2] = {{(uint64_t)(uintptr_t)memory, SIZE - 1},
                               {(uint64_t)(uintptr_t)memory + SIZE - 1, 1}};
    return zc_channel_write(job, tag, parts, 2);
}

static void await_event(void)
{
    uint64_t events;
    CHECK(read(event_fd, &events, sizeof(events)) == sizeof(events));
}

/* Memory that comes back is freed at once: the sanitizer sees whoever still reads it. */
static unsigned take_all(int64_t job, char **memory, uint32_t *errors)
{
    struct zc_completion taken[4];
    unsigned total = 0;
    int count;
    while ((count = zc_channel_take(job, taken, 4)) > 0) {
        for (int i = 0; i < count; i++, total++) {
            CHECK(taken[i].tag >= 1 && taken[i].tag <= WRITES && !taken[i].held);
            CHECK(taken[i].error != 0 || taken[i].bytes == SIZE);
            *errors += taken[i].error != 0;
            CHECK(memory[taken[i].tag]);
            free(memory[taken[i].tag]);
            memory[taken[i].tag] = NULL;
        }
    }
    CHECK(count == 0);
    return total;
}

static const struct zc_stats *stats_of(int64_t job)
{
    return (const struct zc_stats *)(intptr_t)job;
}

static bool is_ended(int64_t job)
{
    return __atomic_load_n(&stats_of(job)->state, __ATOMIC_ACQUIRE) == ZC_STATE_ENDED;
}

static void free_ended(int64_t job)
{
    while (!is_ended(job))
        await_event();
    CHECK(zc_job_free(job) == 0);
}

static size_t read_some(int fd)
{
    static char buffer[1 << 16];
    ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

static void everything_comes_back(uint32_t flags)
{
    int near, far;
    connect_pair(&near, &far);
    int64_t job = start(near, flags);
    static char *memory[WRITES + 1];
    unsigned written = 0, done = 0;
    uint32_t errors = 0;
    size_t received = 0;
    while (done < WRITES || received < (size_t)WRITES * SIZE) {
        while (written < WRITES) {
            char *next = malloc(SIZE);
            CHECK(next);
            memset(next, (int)written, SIZE);
            memory[written + 1] = next;
            int error = write_one(job, written + 1, next);
            if (error < 0) {
                CHECK(error == -EAGAIN);
                free(next);
                memory[written + 1] = NULL;
                break;
            }
            written++;
        }
        received += read_some(far);
        done += take_all(job, memory, &errors);
    }
    CHECK(errors == 0);
    CHECK(zc_channel_end(job) == 0);
    CHECK(write_one(job, 1, NULL) == -EPIPE);
    while (!is_ended(job))
        await_event();
    CHECK(stats_of(job)->end == ZC_END_EOF && stats_of(job)->error == 0);
    free_ended(job);
    close(near);
    close(far);
}

/* `end` breaks the connection, or cancels: each write that was not complete fails, and comes back.
 */
static void failure_brings_all_back(uint32_t engine, void (*end)(int64_t job, int far),
                                    int expected)
{
    int near, far;
    int unread = 0, before, room = 20000;
    connect_pair(&near, &far);
    CHECK(setsockopt(far, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
    int64_t job = start(near, engine | ZC_CHANNEL_REQUIRED);
    static char *memory[WRITES + 1];
    uint32_t errors = 0;
    unsigned written = 0, done = 0;
    for (; written < DEPTH; written++) {
        memory[written + 1] = malloc(SIZE);
        CHECK(memory[written + 1]);
        memset(memory[written + 1], 1, SIZE);
        CHECK(write_one(job, written + 1, memory[written + 1]) == 0);
    }
    do { /* until all has come for which there is room */
        before = unread;
        poll(NULL, 0, 20);
        CHECK(ioctl(far, FIONREAD, &unread) == 0);
    } while (unread == 0 || unread != before);
    end(job, far);
    while (!is_ended(job))
        await_event();
    done += take_all(job, memory, &errors);
    CHECK(done == DEPTH);
    CHECK(done - errors <= (unsigned)unread / SIZE); /* what never arrived is no success */
    CHECK(stats_of(job)->error == (uint64_t)expected);
    free_ended(job);
    close(near);
    close(far);
}

static void reset(int64_t job, int far)
{
    (void)job;
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    CHECK(connect(far, &nowhere, sizeof(nowhere)) == 0);
}

static void cancel(int64_t job, int far)
{
    (void)far;
    CHECK(zc_job_cancel(job) == 0);
}

/* What is at a place of the stream. */
static char at(uint64_t place)
{
    return (char)(place * 2654435761u >> 13);
}

static void *keep(char *memory, uint64_t place, size_t size)
{
    for (size_t i = 0; i < size; i++)
        memory[i] = at(place + i);
    return memory;
}

/* Reads now and then, and a little: the socket is full most of the time. */
static void read_and_check(int fd, uint64_t *place)
{
    static char buffer[100000];
    if (rand() % 4 > 0)
        return;
    ssize_t got = recv(fd, buffer, 1 + (size_t)rand() % sizeof(buffer), MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i++)
        CHECK(buffer[i] == at((*place)++));
}

/* Writes of any size, in any parts, to a peer that reads slowly: each byte arrives in its place. */
static void any_write_keeps_its_place(uint32_t flags)
{
    int near, far, room = 100000;
    connect_pair(&near, &far);
    CHECK(setsockopt(near, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    int64_t job = start(near, flags);
    static char *memory[WRITES + 1];
    static size_t sizes[WRITES + 1];
    unsigned written = 0, done = 0;
    uint64_t total = 0, place = 0;
    while (done < WRITES || place < total) {
        while (written < WRITES) {
            struct zc_part parts[ZC_CHANNEL_PARTS_MAX];
            uint32_t count = 1 + (uint32_t)rand() % ZC_CHANNEL_PARTS_MAX;
            size_t size = (size_t)(rand() % 3 ? rand() % 500 : rand() % 200000);
            char *next = malloc(size + 1);
            CHECK(next);
            keep(next, total, size);
            size_t used = 0;
            for (uint32_t i = 0; i < count; i++) {
                size_t part = i + 1 < count ? (size_t)rand() % (size - used + 1) : size - used;
                parts[i] = (struct zc_part){(uint64_t)(uintptr_t)(next + used), part};
                used += part;
            }
            memory[written + 1] = next;
            sizes[written + 1] = size;
            if (zc_channel_write(job, written + 1, parts, count) == -EAGAIN) {
                free(next);
                break;
            }
            written++;
            total += size;
        }
        read_and_check(far, &place);
        struct zc_completion taken;
        while (zc_channel_take(job, &taken, 1) == 1) {
            CHECK(taken.error == 0 && taken.bytes == sizes[taken.tag]);
            free(memory[taken.tag]);
            done++;
        }
    }
    CHECK(stats_of(job)->bytes == total);
    CHECK(flags & ZC_CHANNEL_IO_URING ? stats_of(job)->unknown == 0 : true);
    CHECK(zc_channel_end(job) == 0);
    free_ended(job);
    close(near);
    close(far);
}

/* Datagrams may be lost, but what arrives is in order. */
static void datagrams_stay_in_order(uint32_t flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int far = socket(AF_INET, SOCK_DGRAM, 0), near = socket(AF_INET, SOCK_DGRAM, 0), room = 8000;
    CHECK(bind(far, (struct sockaddr *)&address, length) == 0);
    CHECK(getsockname(far, (struct sockaddr *)&address, &length) == 0);
    CHECK(connect(near, (struct sockaddr *)&address, length) == 0);
    CHECK(setsockopt(near, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    int64_t job = start(near, flags);
    static uint32_t numbers[DEPTH][500];
    uint32_t next = 0, got[500], last = 0, arrived = 0;
    for (unsigned done = 0; done < 3000;) {
        for (; next - done < DEPTH && next < 3000; next++) {
            uint32_t *number = numbers[next % DEPTH];
            *number = next + 1;
            struct zc_part part = {(uint64_t)(uintptr_t)number, sizeof(numbers[0])};
            CHECK(zc_channel_write(job, next + 1, &part, 1) == 0);
        }
        while (recv(far, got, sizeof(got), MSG_DONTWAIT) == sizeof(got)) {
            CHECK(*got > last);
            last = *got;
            arrived++;
        }
        struct zc_completion taken;
        /* In this order: a buffer's number is used again when all before it are done. */
        while (zc_channel_take(job, &taken, 1) == 1) {
            CHECK(taken.error == 0 && taken.bytes == sizeof(numbers[0]));
            done++;
        }
    }
    CHECK(arrived > 0);
    CHECK(zc_channel_end(job) == 0);
    free_ended(job);
    close(near);
    close(far);
}

/* From idle, or from waiting for room, to the job's end or a completion. Nanoseconds. */
static int64_t time_to(uint32_t engine, void (*end)(int64_t job, int far), bool full)
{
    int near, far, room = 20000;
    connect_pair(&near, &far);
    CHECK(setsockopt(far, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
    int64_t job = start(near, engine | ZC_CHANNEL_REQUIRED);
    static char memory[8 << 20];
    struct zc_part part = {(uint64_t)(uintptr_t)memory, full ? sizeof(memory) : 1};
    struct zc_completion completion;
    if (full)
        CHECK(zc_channel_write(job, 1, &part, 1) == 0);
    poll(NULL, 0, 20);
    int64_t began = zc_clock_now();
    if (end)
        end(job, far);
    else
        CHECK(zc_channel_write(job, 2, &part, 1) == 0);
    int taken = 0; /* an event may be of the test before */
    for (bool is_over = false; !is_over; is_over = end ? is_ended(job) : taken > 0) {
        await_event();
        taken += zc_channel_take(job, &completion, 1);
    }
    int64_t took = zc_clock_now() - began;
    CHECK(taken == (full || !end));
    CHECK(zc_channel_end(job) == 0);
    free_ended(job);
    close(near);
    close(far);
    return took;
}

/* Where nobody reads, nothing is tried again and again. */
static void sleeps_while_it_waits(uint32_t engine)
{
    int near, far, room = 20000;
    connect_pair(&near, &far);
    CHECK(setsockopt(far, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
    int64_t job = start(near, engine | ZC_CHANNEL_REQUIRED);
    static char memory[8 << 20];
    struct zc_part part = {(uint64_t)(uintptr_t)memory, sizeof(memory)};
    CHECK(zc_channel_write(job, 1, &part, 1) == 0);
    poll(NULL, 0, 300);
    CHECK(__atomic_load_n(&stats_of(job)->calls, __ATOMIC_RELAXED) < 1000);
    cancel(job, far);
    free_ended(job);
    close(near);
    close(far);
}

static void wakes_in_time(uint32_t engine)
{
    struct {
        void (*end)(int64_t job, int far);
        bool full;
    } cases[] = {{NULL, false}, {reset, false}, {reset, true}, {cancel, false}, {cancel, true}};
    for (unsigned each = 0; each < sizeof(cases) / sizeof(*cases); each++) {
        int64_t best = INT64_MAX; /* a busy machine is late now and then */
        for (int round = 0; round < 5; round++) {
            int64_t took = time_to(engine, cases[each].end, cases[each].full);
            best = took < best ? took : best;
        }
        CHECK(best < 100000000);
    }
}

static void refuses_nonsense(void)
{
    struct zc_channel options = {.piece = 4096, .depth = 0, .event_fd = event_fd};
    CHECK(zc_channel_start(&options) == -EINVAL);
    options.depth = ZC_CHANNEL_DEPTH_MAX + 1;
    CHECK(zc_channel_start(&options) == -EINVAL);
    options = (struct zc_channel){.piece = 0, .depth = 1, .event_fd = event_fd};
    CHECK(zc_channel_start(&options) == -EINVAL);
}

int main(void)
{
    event_fd = zc_event_open();
    CHECK(event_fd >= 0);
    refuses_nonsense();
    const uint32_t engines[] = {0, ZC_CHANNEL_IO_URING};
    for (int each = 0; each < 2; each++) {
        everything_comes_back(engines[each]);
        everything_comes_back(engines[each] | ZC_CHANNEL_REQUIRED);
        everything_comes_back(engines[each] | ZC_CHANNEL_COPY);
        any_write_keeps_its_place(engines[each]);
        any_write_keeps_its_place(engines[each] | ZC_CHANNEL_REQUIRED);
        any_write_keeps_its_place(engines[each] | ZC_CHANNEL_COPY);
        datagrams_stay_in_order(engines[each] | ZC_CHANNEL_REQUIRED);
        wakes_in_time(engines[each]);
        sleeps_while_it_waits(engines[each]);
        for (int round = 0; round < 10; round++) {
            failure_brings_all_back(engines[each], reset, ECONNRESET);
            failure_brings_all_back(engines[each], cancel, ECANCELED);
        }
    }
    return 0;
}
