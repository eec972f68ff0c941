/* probe.c: what this kernel can do, found out by asking it to do it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uring.h"
#include "zc.h"
#include "zcrx_queue.h"

/* IOCTL_VM_SOCKETS_GET_LOCAL_CID, include/uapi/linux/vm_sockets.h */
#define GET_LOCAL_CID 0x7b9

#define AREA_SIZE (64u << 10)

int zc_probe_io_uring(void)
{
    struct uring ring;
    int error = uring_open(&ring, &(struct uring_options){.entries = 1, .completions = 1});
    if (error < 0)
        return error;
    int found = uring_has(&ring, URING_SEND_ZC) ? ZC_IO_URING_SEND_ZC : 0;
    found |= uring_has(&ring, URING_SENDMSG_ZC) ? ZC_IO_URING_SENDMSG_ZC : 0;
    found |= uring_has(&ring, URING_RECV_ZC) ? ZC_IO_URING_RECV_ZC : 0;
    uring_close(&ring);
    return found;
}

int zc_probe_zcrx(void)
{
    struct uring ring;
    struct zcrx_queue queue = {.region = NULL};
    struct zcrx_queue_options options = {.area = {.size = AREA_SIZE}};
    int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    options.area.memory = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, kind, -1, 0);
    if (options.area.memory == MAP_FAILED)
        return -errno;
    int error =
        uring_open(&ring, &(struct uring_options){.entries = 1, .completions = 1, .wide = true});
    if (error == 0)
        error = zcrx_queue_open(&queue, &ring, &options);
    uring_close(&ring);
    zcrx_queue_close(&queue);
    munmap(options.area.memory, AREA_SIZE);
    return error;
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
