/* probe.c: what this kernel can do, found out by asking it to do it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "zc.h"

/* Newer than the oldest headers that we compile with: include/uapi/linux/io_uring.h of the version
 * said. */
#define OP_SEND_ZC 47            /* 6.0 */
#define OP_SENDMSG_ZC 48         /* 6.1 */
#define OP_RECV_ZC 58            /* 6.15 */
#define SETUP_SINGLE_ISSUER 4096 /* 6.0 */
#define SETUP_DEFER_TASKRUN 8192 /* 6.1 */
#define REGISTER_ZCRX_IFQ 32     /* 6.15 */
#define ZCRX_REG_NODEV 2         /* 7.1 */
#define REGION_USER_MEMORY 1     /* 6.13 */

/* IOCTL_VM_SOCKETS_GET_LOCAL_CID, include/uapi/linux/vm_sockets.h */
#define GET_LOCAL_CID 0x7b9

#define PROBE_OPS 256
#define ZCRX_ENTRIES 64
#define ZCRX_AREA_SIZE (64u << 10)

/* include/uapi/linux/io_uring/zcrx.h, 6.15 */
struct zcrx_area {
    uint64_t address, length, token;
    uint32_t flags, dmabuf_fd;
    uint64_t reserved[2];
};

struct zcrx_region {
    uint64_t user_address, size;
    uint32_t flags, id;
    uint64_t mmap_offset, reserved[4];
};

struct zcrx_queue {
    uint32_t interface, queue, entries, flags;
    uint64_t area, region;
    uint32_t head, tail, rqes, offsets_reserved;
    uint64_t offsets_reserved2[2];
    uint32_t id, buffer_length;
    uint64_t event, reserved[2];
};

_Static_assert(sizeof(struct zcrx_area) == 48, "struct io_uring_zcrx_area_reg");
_Static_assert(sizeof(struct zcrx_region) == 64, "struct io_uring_region_desc");
_Static_assert(sizeof(struct zcrx_queue) == 96, "struct io_uring_zcrx_ifq_reg");

static int ring_open(unsigned flags);
static int has_op(const struct io_uring_probe *probe, unsigned op);
static int register_zcrx(int ring, char *memory, size_t page);

int zc_probe_io_uring(void)
{
    int ring = ring_open(0);
    if (ring < 0)
        return ring;
    size_t size = sizeof(struct io_uring_probe) + PROBE_OPS * sizeof(struct io_uring_probe_op);
    struct io_uring_probe *probe = calloc(1, size);
    int result = -ENOMEM;
    if (probe) {
        result = 0;
        if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_PROBE, probe, PROBE_OPS) < 0)
            result = -errno;
        if (result == 0 && has_op(probe, OP_SEND_ZC))
            result |= ZC_IO_URING_SEND_ZC;
        if (result >= 0 && has_op(probe, OP_SENDMSG_ZC))
            result |= ZC_IO_URING_SENDMSG_ZC;
        if (result >= 0 && has_op(probe, OP_RECV_ZC))
            result |= ZC_IO_URING_RECV_ZC;
    }
    free(probe);
    close(ring);
    return result;
}

static int has_op(const struct io_uring_probe *probe, unsigned op)
{
    return op <= probe->last_op && probe->ops[op].flags & IO_URING_OP_SUPPORTED;
}

static int ring_open(unsigned flags)
{
    struct io_uring_params params = {.flags = flags};
    long ring = syscall(SYS_io_uring_setup, 8, &params);
    return ring < 0 ? -errno : (int)ring;
}

int zc_probe_zcrx(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int ring = ring_open(IORING_SETUP_CQE32 | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN);
    if (ring < 0)
        return ring;
    size_t size = page + ZCRX_ENTRIES * 16 + ZCRX_AREA_SIZE;
    size = (size + page - 1) / page * page;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int result = memory == MAP_FAILED ? -ENOMEM : register_zcrx(ring, memory, page);
    close(ring);
    if (memory != MAP_FAILED)
        munmap(memory, size);
    return result;
}

/* The device-less form: all of the interface, no network card. `memory`: the area, then the ring.
 */
static int register_zcrx(int ring, char *memory, size_t page)
{
    struct zcrx_area area = {.address = (uintptr_t)memory, .length = ZCRX_AREA_SIZE};
    struct zcrx_region region = {
        .user_address = (uintptr_t)(memory + ZCRX_AREA_SIZE),
        .size = (page + ZCRX_ENTRIES * 16 + page - 1) / page * page,
        .flags = REGION_USER_MEMORY,
    };
    struct zcrx_queue queue = {
        .entries = ZCRX_ENTRIES,
        .flags = ZCRX_REG_NODEV,
        .area = (uintptr_t)&area,
        .region = (uintptr_t)&region,
    };
    long result = syscall(SYS_io_uring_register, ring, REGISTER_ZCRX_IFQ, &queue, 1);
    return result < 0 ? -errno : 0;
}

int zc_probe_tcp_zerocopy_receive(int fd, uint32_t size)
{
    void *window = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (window == MAP_FAILED)
        return -errno;
    struct tcp_zerocopy_receive receive = {.address = (uintptr_t)window, .length = size};
    socklen_t length = sizeof(receive);
    int result = getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &receive, &length);
    result = result < 0 ? -errno : (int)receive.length;
    munmap(window, size);
    return result;
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
