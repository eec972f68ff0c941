/* fd.c: what a descriptor is. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zc.h"

static uint32_t socket_fact(int fd, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? (uint32_t)value : 0;
}

int zc_fd_describe(int fd, struct zc_fd *out)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    *out = (struct zc_fd){
        .size = stat.st_size,
        .position = lseek(fd, 0, SEEK_CUR),
        .device = stat.st_rdev,
        .mode = stat.st_mode,
        .flags = (uint32_t)flags,
        .domain = socket_fact(fd, SO_DOMAIN),
        .type = socket_fact(fd, SO_TYPE),
        .protocol = socket_fact(fd, SO_PROTOCOL),
        .block = (uint32_t)stat.st_blksize,
    };
    return 0;
}

int zc_fd_columns(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) < 0 ? -errno : size.ws_col;
}

int zc_fd_nonblocking(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
        return -errno;
    return flags & O_NONBLOCK ? 1 : 0;
}

int zc_pipe_open(int32_t out[2])
{
    return pipe2(out, O_CLOEXEC) < 0 ? -errno : 0;
}
