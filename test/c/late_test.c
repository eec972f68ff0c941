/* A move whose thread gets no processor before its time is over: something is sent all the same. */
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "await.h"

#define SIZE 65536
#define CHUNK 4096

/* The C library's, but between any two looks a second has passed. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static time_t late;
    long result = syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += __atomic_add_fetch(&late, 1, __ATOMIC_RELAXED);
    return (int)result;
}

static void sends_something_by(uint32_t mover)
{
    int pair[2], event_fd = eventfd(0, 0);
    int64_t memory = zc_memory_new(SIZE, 0, 0);
    CHECK(memory > 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct zc_move move = {.memory = memory,
                           .limit = UINT64_MAX,
                           .duration = 1000000,
                           .chunk = CHUNK,
                           .depth = 2,
                           .mover = mover,
                           .sink = pair[0],
                           .event_fd = event_fd};
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    struct zc_stats stats = await(handle, event_fd);
    CHECK(stats.error == 0 && stats.end == ZC_END_LIMIT && stats.bytes == CHUNK);
    char bytes[SIZE];
    CHECK(recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT) == CHUNK);
    close(event_fd);
    close(pair[0]);
    close(pair[1]);
    CHECK(zc_memory_free(memory) == 0);
}

int main(void)
{
    sends_something_by(ZC_MOVER_COPY);
    sends_something_by(ZC_MOVER_SENDFILE);
    sends_something_by(ZC_MOVER_SPLICE);
    return 0;
}
