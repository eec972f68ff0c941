/*
 * mapping.c: memory that is shared with another process. The other may make its file shorter at any
 * time: what belongs to it is read and written by the kernel, which says EFAULT where we would be
 * killed by SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "zc.h"

static int copy_guarded(void *ours, void *theirs, uint64_t size, bool writes);

int zc_shared_memory_open(uint64_t size)
{
    int fd = memfd_create("zc-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int64_t zc_map(int fd, uint64_t offset, uint64_t size, uint32_t flags)
{
    int protection = (flags & ZC_REGION_READ ? PROT_READ : 0) |
                     (flags & ZC_REGION_WRITE ? PROT_READ | PROT_WRITE : 0);
    if (size == 0 || offset > INT64_MAX)
        return -EINVAL;
    void *address = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);
    return address == MAP_FAILED ? -errno : (int64_t)(intptr_t)address;
}

int zc_unmap(int64_t address, uint64_t size)
{
    return munmap((void *)(intptr_t)address, size) < 0 ? -errno : 0;
}

int zc_mapped_read(int64_t address, void *out, uint64_t size)
{
    return copy_guarded(out, (void *)(intptr_t)address, size, false);
}

int zc_mapped_write(int64_t address, const void *bytes, uint64_t size)
{
    return copy_guarded((void *)bytes, (void *)(intptr_t)address, size, true);
}

/* process_vm_readv(2), of ourselves. */
static int copy_guarded(void *ours, void *theirs, uint64_t size, bool writes)
{
    uint64_t done = 0;
    while (done < size) {
        struct iovec here = {.iov_base = (char *)ours + done, .iov_len = size - done};
        struct iovec there = {.iov_base = (char *)theirs + done, .iov_len = size - done};
        ssize_t moved = writes ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
                               : process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        if (moved < 0)
            return -errno;
        if (moved == 0)
            return -EFAULT;
        done += (uint64_t)moved;
    }
    return 0;
}
