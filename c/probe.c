/* probe.c: what this kernel can do, found out by asking it to do it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uring.h"
#include "zc.h"

/* IOCTL_VM_SOCKETS_GET_LOCAL_CID, include/uapi/linux/vm_sockets.h */
#define GET_LOCAL_CID 0x7b9

int zc_probe_sendmsg_zc(void)
{
    struct uring ring;
    int error = uring_open(&ring, &(struct uring_options){.entries = 1, .completions = 1});
    if (error < 0)
        return error;
    int found = uring_has(&ring, URING_SENDMSG_ZC);
    uring_close(&ring);
    return found;
}

int64_t zc_vsock_local_cid(void)
{
    uint32_t cid;
    int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int64_t result = ioctl(fd, GET_LOCAL_CID, &cid) < 0 ? -errno : (int64_t)cid;
    close(fd);
    return result;
}
