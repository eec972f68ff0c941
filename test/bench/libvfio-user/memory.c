/*
 * memory.c: a device by libvfio-user that is so much memory: a BAR, read and written by messages,
 * and migration data that are all of it.
 *
 *   libvfio-user-memory SIZE SOCKET   serves one client after the other until it is killed
 */
#include <err.h>
#include <errno.h>
#include <libvfio-user.h>
#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct memory {
    char *bytes;
    size_t size;
    size_t moved; /* of its migration data */
    vfu_migr_state_t state;
};

static ssize_t access_bar(vfu_ctx_t *context, char *buffer, size_t count, loff_t offset,
                          bool is_write)
{
    char *at = ((struct memory *)vfu_get_private(context))->bytes + offset;
    memcpy(is_write ? at : buffer, is_write ? buffer : at, count);
    return (ssize_t)count;
}

/* Nothing is written while it is saved: what it has given in PRE_COPY is not given again. */
static int transition(vfu_ctx_t *context, vfu_migr_state_t state)
{
    struct memory *memory = vfu_get_private(context);
    if (memory->state != VFU_MIGR_STATE_PRE_COPY || state != VFU_MIGR_STATE_STOP_AND_COPY)
        memory->moved = 0;
    memory->state = state;
    return 0;
}

static size_t share_of(const struct memory *memory, uint64_t count)
{
    size_t left = memory->size - memory->moved;
    return count < left ? (size_t)count : left;
}

static ssize_t read_data(vfu_ctx_t *context, void *buffer, uint64_t count)
{
    struct memory *memory = vfu_get_private(context);
    size_t size = share_of(memory, count);
    memcpy(buffer, memory->bytes + memory->moved, size);
    memory->moved += size;
    return (ssize_t)size;
}

static ssize_t write_data(vfu_ctx_t *context, void *buffer, uint64_t count)
{
    struct memory *memory = vfu_get_private(context);
    size_t size = share_of(memory, count);
    memcpy(memory->bytes + memory->moved, buffer, size);
    memory->moved += size;
    return (ssize_t)size;
}

static vfu_ctx_t *describe(struct memory *memory, const char *socket)
{
    const vfu_migration_callbacks_t migration = {
        .version = VFU_MIGR_CALLBACKS_VERS,
        .transition = transition,
        .read_data = read_data,
        .write_data = write_data,
    };
    vfu_ctx_t *context = vfu_create_ctx(VFU_TRANS_SOCK, socket, 0, memory, VFU_DEV_TYPE_PCI);
    if (!context || vfu_pci_init(context, VFU_PCI_TYPE_EXPRESS, PCI_HEADER_TYPE_NORMAL, 0) < 0 ||
        vfu_setup_region(context, VFU_PCI_DEV_BAR0_REGION_IDX, memory->size, access_bar,
                         VFU_REGION_FLAG_RW | VFU_REGION_FLAG_MEM, NULL, 0, -1, 0) < 0 ||
        vfu_setup_device_migration_callbacks(context, &migration) < 0 ||
        vfu_realize_ctx(context) < 0)
        err(1, "%s", socket);
    return context;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: libvfio-user-memory SIZE SOCKET");
    struct memory memory = {.size = strtoull(argv[1], NULL, 10), .state = VFU_MIGR_STATE_RUNNING};
    memory.bytes = mmap(NULL, memory.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory.bytes == MAP_FAILED)
        err(1, "%s bytes", argv[1]);
    vfu_ctx_t *context = describe(&memory, argv[2]);
    while (vfu_attach_ctx(context) == 0 || errno == EINTR)
        while (vfu_run_ctx(context) == 0 || errno == EINTR)
            ;
    err(1, "%s", argv[2]);
}
