/* foreign.c: what can be seen of a socket that belongs to another process. */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "zc.h"

/* Linux 5.3 and 5.6; the same on every architecture. */
#define ZC_SYS_PIDFD_OPEN 434
#define ZC_SYS_PIDFD_GETFD 438

int zc_fd_of_process(int pid, int fd)
{
    long pidfd = syscall(ZC_SYS_PIDFD_OPEN, pid, 0);
    if (pidfd < 0)
        return -errno;
    long copy = syscall(ZC_SYS_PIDFD_GETFD, pidfd, fd, 0);
    int error = -errno;
    close((int)pidfd);
    return copy < 0 ? error : (int)copy;
}

int zc_socket_unsent(int fd)
{
    int bytes;
    return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}
