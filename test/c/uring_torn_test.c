/* A kernel that takes a part of a chain, as it does without memory: nothing changes places. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "await.h"
#include "tcp_pair.h"

#define SIZE ((size_t)32 << 20)
#define WRITE_SIZE 50000
#define DEPTH 16

static unsigned torn;

/* The C library's, but io_uring_enter(2) is asked to take half of what there is. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    long given[6];
    va_list arguments;
    va_start(arguments, number);
    for (int each = 0; each < 6; each++)
        given[each] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_io_uring_enter && (uint32_t)given[1] > 1) {
        given[1] = (uint32_t)given[1] / 2;
        given[2] = 0; /* then it waits for nothing */
        torn++;
    }
    return real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

static uint32_t *words_of(int *fd)
{
    *fd = memfd_create("uring-torn-test", MFD_CLOEXEC);
    CHECK(ftruncate(*fd, SIZE) == 0);
    uint32_t *words = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    CHECK(words != MAP_FAILED);
    for (uint32_t each = 0; each < SIZE / sizeof(*words); each++)
        words[each] = each;
    return words;
}

struct receiver {
    int fd, sender;
    const uint32_t *words;
    size_t received;
    bool is_same;
};

static void *receive(void *argument)
{
    struct receiver *receiver = argument;
    static char bytes[1 << 20];
    receiver->is_same = true;
    /* Until the sends have to wait. */
    while (poll(&(struct pollfd){.fd = receiver->sender, .events = POLLOUT}, 1, 0) == 1)
        sched_yield();
    for (;;) {
        ssize_t got = read(receiver->fd, bytes, sizeof(bytes));
        if (got <= 0)
            return NULL;
        const char *expected = (const char *)receiver->words + receiver->received;
        receiver->is_same = receiver->is_same && memcmp(bytes, expected, (size_t)got) == 0;
        receiver->received += (size_t)got;
    }
}

/* With little room, so that sends have to wait. */
static struct receiver connected(const uint32_t *words)
{
    struct receiver receiver = {.words = words};
    int room = 1 << 16;
    tcp_pair(&receiver.sender, &receiver.fd);
    CHECK(setsockopt(receiver.sender, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    return receiver;
}

static void exit_without_io_uring(uint64_t error)
{
    if (error != ENOSYS && error != EPERM && error != EOPNOTSUPP)
        return;
    fprintf(stderr, "no io_uring here\n");
    exit(0);
}

static void of_a_move(int source, const uint32_t *words)
{
    struct receiver receiver = connected(words);
    int sink = receiver.sender, event_fd = eventfd(0, 0);
    struct zc_move move = {.limit = UINT64_MAX,
                           .chunk = 100001,
                           .depth = 32,
                           .mover = ZC_MOVER_IO_URING_SEND,
                           .source = source,
                           .sink = sink,
                           .event_fd = event_fd};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, receive, &receiver) == 0);
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    struct zc_stats stats = await(handle, event_fd);
    exit_without_io_uring(stats.error);
    close(sink);
    pthread_join(thread, NULL);
    CHECK(stats.error == 0 && stats.bytes == SIZE);
    CHECK(receiver.is_same && receiver.received == SIZE);
    close(receiver.fd);
    close(event_fd);
}

/* How many have come back, each sent whole. */
static unsigned take_done(int64_t channel)
{
    struct zc_completion taken[DEPTH];
    int count = zc_channel_take(channel, taken, DEPTH);
    CHECK(count >= 0);
    for (int each = 0; each < count; each++)
        CHECK(taken[each].error == 0 && taken[each].bytes == WRITE_SIZE);
    return (unsigned)count;
}

static void of_a_channel(const uint32_t *words)
{
    struct receiver receiver = connected(words);
    int sink = receiver.sender, event_fd = eventfd(0, 0);
    struct zc_channel options = {.piece = 1 << 20,
                                 .worthwhile = 1,
                                 .fd = sink,
                                 .event_fd = event_fd,
                                 .depth = DEPTH,
                                 .flags = ZC_CHANNEL_IO_URING | ZC_CHANNEL_REQUIRED};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, receive, &receiver) == 0);
    int64_t channel = zc_channel_start(&options);
    CHECK(channel > 0);
    unsigned written = 0, done = 0, writes = SIZE / WRITE_SIZE;
    while (done < writes) {
        struct zc_part part = {(uintptr_t)words + (uint64_t)written * WRITE_SIZE, WRITE_SIZE};
        if (written < writes && zc_channel_write(channel, written + 1, &part, 1) == 0)
            written++;
        done += take_done(channel);
    }
    CHECK(zc_job_cancel(channel) == 0);
    await(channel, event_fd);
    close(sink);
    pthread_join(thread, NULL);
    CHECK(receiver.is_same && receiver.received == (size_t)writes * WRITE_SIZE);
    close(receiver.fd);
    close(event_fd);
}

int main(void)
{
    int source;
    const uint32_t *words = words_of(&source);
    of_a_move(source, words);
    CHECK(torn > 0);
    torn = 0;
    of_a_channel(words);
    CHECK(torn > 0);
    return 0;
}
