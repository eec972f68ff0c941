/* A kernel that takes a part of a chain, as it does without memory: the order stays. */
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

int main(void)
{
    int source, sink;
    struct receiver receiver = {.words = words_of(&source)};
    tcp_pair(&sink, &receiver.fd);
    receiver.sender = sink;
    int event_fd = eventfd(0, 0);
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
    if (stats.error == ENOSYS || stats.error == EPERM || stats.error == EOPNOTSUPP) {
        fprintf(stderr, "no io_uring here\n");
        return 0;
    }
    close(sink);
    pthread_join(thread, NULL);
    CHECK(stats.error == 0 && stats.bytes == SIZE);
    CHECK(torn > 0);
    CHECK(receiver.is_same && receiver.received == SIZE);
    return 0;
}
