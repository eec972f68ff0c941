/*
 * event.c: eventfds. One that a peer has given may be filled by him at any moment, and a write(2)
 * to it would wait then: the kernel itself adds to it, as it does when asynchronous I/O is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "zc.h"

/* Completions that nobody looks at are taken away so many at a time. */
#define EVENTS 64

static pthread_once_t once = PTHREAD_ONCE_INIT;
static aio_context_t context; /* 0: this kernel has none */
static int empty = -1;        /* a read of it is done at once */

static void open_context(void);
static int signal_by_io(int fd);
static int signal_by_write(int fd);

int zc_event_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int zc_event_signal(int fd)
{
    pthread_once(&once, open_context);
    return context ? signal_by_io(fd) : signal_by_write(fd);
}

static void open_context(void)
{
    empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || syscall(SYS_io_setup, EVENTS, &context) < 0)
        context = 0;
}

/* Such as are made for a read of nothing; the eventfd is full at most, and never waited for. */
static int signal_by_io(int fd)
{
    struct iocb read = {
        .aio_lio_opcode = IOCB_CMD_PREAD,
        .aio_fildes = (uint32_t)empty,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)fd,
    };
    struct iocb *all[] = {&read};
    struct io_event done[EVENTS];
    struct timespec at_once = {0};
    while (syscall(SYS_io_submit, context, 1, all) < 0) {
        if (errno != EAGAIN)
            return -errno;
        if (syscall(SYS_io_getevents, context, 0, EVENTS, done, &at_once) < 0)
            return -errno;
    }
    return 0;
}

int zc_event_take(int fd, uint64_t *out)
{
    struct iovec room = {.iov_base = out, .iov_len = sizeof(*out)};
    return preadv2(fd, &room, 1, -1, RWF_NOWAIT) < 0 ? -errno : 0;
}

/* Without asynchronous I/O: who fills it between the two calls can hold us up. */
static int signal_by_write(int fd)
{
    uint64_t one = 1;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) < 0)
        return -errno;
    if (ready.revents & POLLNVAL)
        return -EBADF;
    if (!(ready.revents & POLLOUT))
        return 0;
    return write(fd, &one, sizeof(one)) < 0 ? -errno : 0;
}
