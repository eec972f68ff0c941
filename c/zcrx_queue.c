/* zcrx_queue.c: registers the queue, and keeps its refill ring. */
#include "zcrx_queue.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uring.h"

#define REGISTER_ZCRX_IFQ 32
#define REGISTER_QUERY 35
#define REGISTER_ZCRX_CTRL 36
#define QUERY_ZCRX 1
#define NODEV 2
#define REGION_OF_USER 1
#define FEATURE_EVENTS 2
#define EVENTS_COUNT 1
#define CTRL_FLUSH 0
#define CTRL_ADD_AREA 3
#define REFILLS 32768
#define COUNTERS_SIZE 64

struct zcrx_refill {
    uint64_t offset;
    uint32_t length, reserved;
};

struct area_registration {
    uint64_t address, length, token;
    uint32_t flags, dmabuf_fd;
    uint64_t reserved[2];
};

struct region {
    uint64_t address, size;
    uint32_t flags, id;
    uint64_t mmap_offset, reserved[4];
};

struct queue_registration {
    uint32_t interface, queue, entries, flags;
    uint64_t area, region;
    uint32_t head, tail, refills, reserved;
    uint64_t reserved2[2];
    uint32_t id, buffer_length;
    uint64_t events, reserved3[2];
};

struct events {
    uint64_t data;
    uint32_t types, flags;
    uint64_t counters_offset, reserved[9];
};

struct counters {
    uint64_t copies, copied_bytes;
};

struct control {
    uint32_t id, operation;
    uint64_t reserved[2];
    union {
        uint64_t area;
        uint64_t nothing[6];
    } argument;
};

struct query {
    uint64_t next, data;
    uint32_t operation, size;
    int32_t result;
    uint32_t reserved[3];
};

struct abilities {
    uint64_t registration_flags, area_flags;
    uint32_t controls, features, header_size, header_align;
    uint64_t reserved;
};

_Static_assert(sizeof(struct zcrx_refill) == 16, "struct io_uring_zcrx_rqe");
_Static_assert(sizeof(struct area_registration) == 48, "struct io_uring_zcrx_area_reg");
_Static_assert(sizeof(struct region) == 64, "struct io_uring_region_desc");
_Static_assert(sizeof(struct queue_registration) == 96, "struct io_uring_zcrx_ifq_reg");
_Static_assert(sizeof(struct events) == 96, "struct zcrx_event_desc");
_Static_assert(sizeof(struct control) == 72, "struct zcrx_ctrl");
_Static_assert(sizeof(struct query) == 40, "struct io_uring_query_hdr");
_Static_assert(sizeof(struct abilities) == 40, "struct io_uring_query_zcrx");

static struct abilities ask_abilities(void);
static size_t round_up(size_t value, size_t unit);

int zcrx_queue_open(struct zcrx_queue *queue, const struct uring *ring,
                    const struct zcrx_queue_options *options)
{
    struct abilities abilities = ask_abilities();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t header = abilities.header_size ? round_up(abilities.header_size, 64) : page;
    size_t counters = header + REFILLS * sizeof(struct zcrx_refill);
    *queue = (struct zcrx_queue){
        .ring = ring,
        .can_flush = abilities.controls > CTRL_FLUSH,
        .can_add = abilities.controls > CTRL_ADD_AREA,
        .region_size = round_up(counters + COUNTERS_SIZE, page),
    };
    queue->region =
        mmap(NULL, queue->region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (queue->region == MAP_FAILED) {
        queue->region = NULL;
        return -errno;
    }
    struct area_registration area = {.address = (uintptr_t)options->area.memory,
                                     .length = options->area.size};
    struct region region = {
        .address = (uintptr_t)queue->region, .size = queue->region_size, .flags = REGION_OF_USER};
    struct events events = {.flags = EVENTS_COUNT, .counters_offset = counters};
    bool counts = abilities.features & FEATURE_EVENTS;
    struct queue_registration registration = {
        .interface = options->interface,
        .queue = options->queue,
        .entries = REFILLS,
        .flags = options->interface == 0 ? NODEV : 0,
        .area = (uintptr_t)&area,
        .region = (uintptr_t)&region,
        .events = counts ? (uintptr_t)&events : 0,
    };
    int error = uring_register(ring, REGISTER_ZCRX_IFQ, &registration, 1);
    if (error < 0)
        return error;
    queue->id = registration.id;
    queue->entries = registration.entries;
    queue->head = (uint32_t *)(void *)(queue->region + registration.head);
    queue->tail = (uint32_t *)(void *)(queue->region + registration.tail);
    queue->refills = (struct zcrx_refill *)(void *)(queue->region + registration.refills);
    struct counters *counted = (struct counters *)(void *)(queue->region + counters);
    queue->copied = counts ? &counted->copied_bytes : NULL;
    return 0;
}

/* All zeros on kernels that cannot be asked (before 7.0): their header is a page. */
static struct abilities ask_abilities(void)
{
    struct abilities abilities = {.controls = 0};
    struct query query = {
        .data = (uintptr_t)&abilities, .operation = QUERY_ZCRX, .size = sizeof(abilities)};
    const struct uring none = {.fd = -1};
    if (uring_register(&none, REGISTER_QUERY, &query, 0) < 0 || query.result < 0)
        return (struct abilities){.controls = 0};
    return abilities;
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

void zcrx_queue_close(struct zcrx_queue *queue)
{
    if (queue->region)
        munmap(queue->region, queue->region_size);
    queue->region = NULL;
}

bool zcrx_queue_refill(struct zcrx_queue *queue, uint64_t offset)
{
    if (zcrx_queue_pending(queue) == queue->entries)
        return false;
    /* The upper bits of an offset are the area's token, too. */
    queue->refills[queue->given++ & (queue->entries - 1)] = (struct zcrx_refill){.offset = offset};
    __atomic_store_n(queue->tail, (uint32_t)queue->given, __ATOMIC_RELEASE);
    return true;
}

int zcrx_queue_flush(struct zcrx_queue *queue)
{
    struct control control = {.id = queue->id, .operation = CTRL_FLUSH};
    if (!queue->can_flush)
        return -EOPNOTSUPP;
    return uring_register(queue->ring, REGISTER_ZCRX_CTRL, &control, 0);
}

uint32_t zcrx_queue_pending(const struct zcrx_queue *queue)
{
    return (uint32_t)queue->given - __atomic_load_n(queue->head, __ATOMIC_ACQUIRE);
}

int zcrx_queue_add(struct zcrx_queue *queue, const struct zcrx_area *area)
{
    struct area_registration registration = {.address = (uintptr_t)area->memory,
                                             .length = area->size};
    struct control control = {.id = queue->id, .operation = CTRL_ADD_AREA};
    control.argument.area = (uintptr_t)&registration;
    if (!queue->can_add)
        return -EOPNOTSUPP;
    return uring_register(queue->ring, REGISTER_ZCRX_CTRL, &control, 0);
}
