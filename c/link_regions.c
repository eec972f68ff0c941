/*
 * link_regions.c: regions that are memory and nothing else, answered by the link's thread itself:
 * what is not exactly right is left to the owner, who knows what to say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

#define PAGE_SHIFT 12

struct region {
    struct region *next;
    struct zc_region options;
};

struct region_access {
    uint64_t offset;
    uint32_t region, count; /* bytes, which follow where they are written */
};

static const struct region *find(const struct link *link, const struct region_access *access,
                                 uint32_t flag);
static void write_region(const struct region *region, const struct region_access *access,
                         const unsigned char *bytes);
static bool reply(struct link *link, const struct message *to, const void *bytes, size_t size);

int zc_link_serve(int64_t handle, const struct zc_region *options)
{
    struct link *link = link_of(handle);
    struct region *fresh = malloc(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    pthread_mutex_lock(&link->lock);
    struct region *region = link->regions;
    while (region && region->options.index != options->index)
        region = region->next;
    if (!region) {
        region = fresh;
        fresh = NULL;
        region->next = link->regions;
        link->regions = region;
    }
    region->options = *options;
    pthread_mutex_unlock(&link->lock);
    free(fresh);
    return 0;
}

bool link_answer_from_regions(struct link *link, const struct message *message)
{
    struct header header = message_header(message);
    struct region_access access;
    const uint64_t bare = sizeof(header) + sizeof(access);
    bool reads = header.command == COMMAND_REGION_READ;
    bool writes = header.command == COMMAND_REGION_WRITE;
    if ((!reads && !writes) || message->flags || message->fd_count || message->fds_lost ||
        header.flags & ~HEADER_NO_REPLY || message->size < bare)
        return false;
    memcpy(&access, message->bytes + sizeof(header), sizeof(access));
    if (message->size - bare != (writes ? access.count : 0))
        return false;
    const struct region *region = find(link, &access, reads ? ZC_REGION_READ : ZC_REGION_WRITE);
    bool is_posted = header.flags & HEADER_NO_REPLY;
    uint64_t size = reads ? access.count : 0;
    if (!region || (!is_posted && link_send_refused(link, bare + size) < 0))
        return false;
    if (writes)
        write_region(region, &access, message->bytes + bare);
    const char *memory = (const char *)(uintptr_t)region->options.address;
    return is_posted || reply(link, message, memory + access.offset, size);
}

static const struct region *find(const struct link *link, const struct region_access *access,
                                 uint32_t flag)
{
    for (const struct region *each = link->regions; each; each = each->next)
        if (each->options.index == access->region)
            return each->options.flags & flag && access->count <= each->options.count_max &&
                           access->offset <= each->options.size &&
                           access->count <= each->options.size - access->offset
                       ? each
                       : NULL;
    return NULL;
}

static void write_region(const struct region *region, const struct region_access *access,
                         const unsigned char *bytes)
{
    memcpy((char *)(uintptr_t)region->options.address + access->offset, bytes, access->count);
    uint64_t *dirty = (uint64_t *)(uintptr_t)region->options.dirty;
    if (!dirty || access->count == 0)
        return;
    uint64_t last = (access->offset + access->count - 1) >> PAGE_SHIFT;
    for (uint64_t page = access->offset >> PAGE_SHIFT; page <= last; page++)
        __atomic_fetch_or(&dirty[page / 64], UINT64_C(1) << page % 64, __ATOMIC_RELEASE);
}

/* The request's own header and access, and the bytes. */
static bool reply(struct link *link, const struct message *to, const void *bytes, size_t size)
{
    unsigned char head[sizeof(struct header) + sizeof(struct region_access)];
    struct header header = message_header(to);
    header.flags = HEADER_REPLY;
    header.size = (uint32_t)(sizeof(head) + size);
    header.error = 0;
    memcpy(head, &header, sizeof(header));
    memcpy(head + sizeof(header), to->bytes + sizeof(header), sizeof(struct region_access));
    struct iovec parts[2] = {{.iov_base = head, .iov_len = sizeof(head)},
                             {.iov_base = (void *)bytes, .iov_len = size}};
    return link_send(link, NULL, parts, NULL, 0) != -ENOMEM;
}

void link_free_regions(struct link *link)
{
    while (link->regions) {
        struct region *region = link->regions;
        link->regions = region->next;
        free(region);
    }
}
