/*
 * memory.c: what `zc vfio-user serve --device memory` is, with libvfio-user: SIZE bytes in BAR 0,
 * that are read and written by messages, and given in STOP_COPY. One client after another.
 *
 *   memory SIZE SOCKET
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libvfio-user.h"

struct memory {
    char *bytes;
    size_t size;
    /* Bytes that STOP_COPY has given already. */
    size_t given;
};

static void require(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    exit(1);
}

static ssize_t access_bar(vfu_ctx_t *context, char *const buffer, size_t count, loff_t offset,
                          const bool is_write)
{
    struct memory *memory = vfu_get_private(context);
    if (is_write)
        memcpy(memory->bytes + offset, buffer, count);
    else
        memcpy(buffer, memory->bytes + offset, count);
    return (ssize_t)count;
}

static int enter_state(vfu_ctx_t *context, vfu_migr_state_t state)
{
    struct memory *memory = vfu_get_private(context);
    if (state == VFU_MIGR_STATE_STOP_AND_COPY)
        memory->given = 0;
    return 0;
}

static ssize_t give(vfu_ctx_t *context, void *buffer, uint64_t size)
{
    struct memory *memory = vfu_get_private(context);
    size_t left = memory->size - memory->given;
    size_t count = size < left ? size : left;
    memcpy(buffer, memory->bytes + memory->given, count);
    memory->given += count;
    return (ssize_t)count;
}

/* Nobody resumes it. */
static ssize_t take(vfu_ctx_t *context, void *buffer, uint64_t size)
{
    (void)context;
    (void)buffer;
    (void)size;
    errno = ENOTSUP;
    return -1;
}

static vfu_ctx_t *make_device(const char *path, struct memory *memory)
{
    static const vfu_migration_callbacks_t migration = {
        .version = VFU_MIGR_CALLBACKS_VERS,
        .transition = enter_state,
        .read_data = give,
        .write_data = take,
    };
    vfu_ctx_t *context = vfu_create_ctx(VFU_TRANS_SOCK, path, 0, memory, VFU_DEV_TYPE_PCI);
    require(context ? 0 : -1, path);
    require(vfu_pci_init(context, VFU_PCI_TYPE_CONVENTIONAL, PCI_HEADER_TYPE_NORMAL, 0), "PCI");
    vfu_pci_set_id(context, 0x1234, 0x7a63, 0, 0);
    require(vfu_setup_region(context, VFU_PCI_DEV_BAR0_REGION_IDX, memory->size, access_bar,
                             VFU_REGION_FLAG_RW, NULL, 0, -1, 0),
            "BAR 0");
    require(vfu_setup_device_migration_callbacks(context, &migration), "migration");
    require(vfu_realize_ctx(context), "realize");
    return context;
}

int main(int count, char **words)
{
    if (count != 3)
        return 2;
    struct memory memory = {.size = strtoull(words[1], NULL, 10)};
    memory.bytes = mmap(NULL, memory.size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory.bytes == MAP_FAILED)
        require(-1, "memory");
    vfu_ctx_t *context = make_device(words[2], &memory);
    for (;;) {
        require(vfu_attach_ctx(context), "attach");
        while (vfu_run_ctx(context) >= 0)
            ;
        if (errno != ENOTCONN)
            require(-1, "run");
    }
}
