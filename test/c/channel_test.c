/* The channel under the sanitizers: over TCP on loopback, with a peer that reads, stalls or resets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
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
    struct zc_channel options = {.piece = 1 << 20,
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

static void free_ended(int64_t job)
{
    while (__atomic_load_n(&stats_of(job)->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED)
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
    while (__atomic_load_n(&stats_of(job)->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED)
        await_event();
    CHECK(stats_of(job)->end == ZC_END_EOF && stats_of(job)->error == 0);
    free_ended(job);
    close(near);
    close(far);
}

/* `end` breaks the connection, or cancels: each write that was not complete fails, and comes back.
 */
static void failure_brings_all_back(void (*end)(int64_t job, int far), int expected)
{
    int near, far;
    connect_pair(&near, &far);
    int64_t job = start(near, ZC_CHANNEL_REQUIRED);
    static char *memory[WRITES + 1];
    uint32_t errors = 0;
    unsigned written = 0, done = 0;
    for (; written < DEPTH; written++) {
        memory[written + 1] = malloc(SIZE);
        CHECK(memory[written + 1]);
        memset(memory[written + 1], 1, SIZE);
        CHECK(write_one(job, written + 1, memory[written + 1]) == 0);
    }
    end(job, far);
    while (__atomic_load_n(&stats_of(job)->state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED)
        await_event();
    done += take_all(job, memory, &errors);
    CHECK(done == DEPTH);
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
    everything_comes_back(0);
    everything_comes_back(ZC_CHANNEL_REQUIRED);
    everything_comes_back(ZC_CHANNEL_COPY);
    for (int round = 0; round < 20; round++) {
        failure_brings_all_back(reset, ECONNRESET);
        failure_brings_all_back(cancel, ECANCELED);
    }
    return 0;
}
