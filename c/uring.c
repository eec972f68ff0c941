/* uring.c: the two queues that this process shares with the kernel, and their barriers. */
#include "uring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "job.h"

#define SETUP_CQSIZE (1u << 3)
#define SETUP_CLAMP (1u << 4)
#define SETUP_SUBMIT_ALL (1u << 7)     /* 5.18 */
#define SETUP_CQE32 (1u << 11)         /* 5.19 */
#define SETUP_SINGLE_ISSUER (1u << 12) /* 6.0 */
#define SETUP_DEFER_TASKRUN (1u << 13) /* 6.1 */
#define OFFSET_RINGS 0
#define OFFSET_SQES 0x10000000
#define FEATURE_SINGLE_MMAP (1u << 0)
#define FEATURE_NODROP (1u << 1)
#define ENTER_GETEVENTS 1u
#define ENTER_EXT_ARG 8u /* 5.11 */

/* How long what was cancelled is waited for, and how long at once. */
#define CANCEL_NS INT64_C(5000000000)
#define CANCEL_PAUSE_NS 100000000
#define REGISTER_BUFFERS 0
#define REGISTER_EVENTFD 4
#define REGISTER_PROBE 8
#define REGISTER_PBUF_RING 22   /* 5.19 */
#define REGISTER_SYNC_CANCEL 24 /* 6.0 */
#define CANCEL_ALL_OF_ANY (1u | 4u)
#define PROBE_SUPPORTED 1
#define CQE_SIZE 16

struct params {
    uint32_t sq_entries, cq_entries, flags, cpu, idle_ms, features, wq_fd, reserved[3];
    struct {
        uint32_t head, tail, mask, entries, flags, dropped, array, reserved;
        uint64_t address;
    } sq;
    struct {
        uint32_t head, tail, mask, entries, overflow, cqes, flags, reserved;
        uint64_t address;
    } cq;
};

struct wait {
    uint64_t signals;
    uint32_t signals_size, min_wait_us;
    uint64_t timeout; /* where it is */
};

struct timeout {
    int64_t seconds, nanoseconds;
};

struct probe {
    uint8_t last, count;
    uint16_t reserved;
    uint32_t reserved2[3];
    struct {
        uint8_t opcode, reserved;
        uint16_t flags;
        uint32_t reserved2;
    } operations[256];
};

struct buffer_ring {
    uint64_t address;
    uint32_t entries;
    uint16_t group, flags;
    uint64_t reserved[3];
};

struct sync_cancel {
    uint64_t address;
    int32_t fd;
    uint32_t flags;
    int64_t seconds, nanoseconds;
    uint64_t reserved[4];
};

_Static_assert(sizeof(struct params) == 120, "struct io_uring_params");
_Static_assert(sizeof(struct uring_sqe) == 64, "struct io_uring_sqe");
_Static_assert(sizeof(struct wait) == 24, "struct io_uring_getevents_arg");
_Static_assert(sizeof(struct probe) == 16 + 256 * 8, "struct io_uring_probe");
_Static_assert(sizeof(struct uring_buffer) == 16, "struct io_uring_buf");
_Static_assert(sizeof(struct buffer_ring) == 40, "struct io_uring_buf_reg");
_Static_assert(sizeof(struct sync_cancel) == 64, "struct io_uring_sync_cancel_reg");

static int set_up(const struct uring_options *options, uint32_t flags, struct params *params);
static int submit(struct uring *ring, struct job *job, uint32_t wanted,
                  const struct timeout *timeout);
static int enter(struct uring *ring, uint32_t wanted, const struct timeout *timeout);
static bool is_untold(struct uring *ring, const struct uring_completion *completion);
static int map_queues(struct uring *ring, const struct params *params);

int uring_open(struct uring *ring, const struct uring_options *options)
{
    struct params params;
    *ring = (struct uring){.fd = -1, .wide = options->wide};
    /* Completions are worked on when this thread asks for them, and never interrupt it. */
    ring->fd =
        set_up(options, SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, &params);
    if (ring->fd == -EINVAL)
        ring->fd = set_up(options, 0, &params);
    if (ring->fd < 0)
        return ring->fd;
    uint32_t needed = FEATURE_SINGLE_MMAP | FEATURE_NODROP; /* 5.5 */
    int error = (params.features & needed) == needed ? map_queues(ring, &params) : -EINVAL;
    if (error < 0)
        uring_close(ring);
    return error;
}

static int set_up(const struct uring_options *options, uint32_t flags, struct params *params)
{
    *params = (struct params){
        .cq_entries = options->completions,
        .flags = flags | SETUP_CQSIZE | SETUP_CLAMP | (options->wide ? SETUP_CQE32 : 0),
    };
    long fd = syscall(SYS_io_uring_setup, options->entries, params);
    return fd < 0 ? -errno : (int)fd;
}

static int map_queues(struct uring *ring, const struct params *params)
{
    size_t cqe_size = ring->wide ? 2 * CQE_SIZE : CQE_SIZE;
    size_t sq_end = params->sq.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_end = params->cq.cqes + params->cq_entries * cqe_size;
    ring->rings_size = sq_end > cq_end ? sq_end : cq_end;
    ring->sqes_size = params->sq_entries * sizeof(struct uring_sqe);
    int protection = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_POPULATE;
    ring->rings = mmap(NULL, ring->rings_size, protection, kind, ring->fd, OFFSET_RINGS);
    ring->sqes = mmap(NULL, ring->sqes_size, protection, kind, ring->fd, OFFSET_SQES);
    if (ring->rings == MAP_FAILED || ring->sqes == MAP_FAILED)
        return -errno;
    ring->features = params->features;
    ring->entries = params->sq_entries;
    ring->sq_head = (uint32_t *)(void *)(ring->rings + params->sq.head);
    ring->sq_tail = (uint32_t *)(void *)(ring->rings + params->sq.tail);
    ring->cq_head = (uint32_t *)(void *)(ring->rings + params->cq.head);
    ring->cq_tail = (uint32_t *)(void *)(ring->rings + params->cq.tail);
    ring->cqes = ring->rings + params->cq.cqes;
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    /* Slot n of the queue is always entry n: the array between them is filled once. */
    uint32_t *array = (uint32_t *)(void *)(ring->rings + params->sq.array);
    for (uint32_t each = 0; each < params->sq_entries; each++)
        array[each] = each;
    return 0;
}

void uring_cancel(struct uring *ring)
{
    if (ring->fd < 0 || !ring->cqes)
        return;
    uring_take_back(ring, uring_unsubmitted(ring));
    struct sync_cancel all = {.fd = -1, .flags = CANCEL_ALL_OF_ANY, .seconds = 1};
    if (ring->pending > 0 && uring_register(ring, REGISTER_SYNC_CANCEL, &all, 1) >= 0)
        ring->deadline_ns = job_now() + CANCEL_NS;
}

/* What another thread of the kernel's does is told to end, and ends a little later. */
bool uring_take_last(struct uring *ring, struct uring_completion *out)
{
    const struct timeout pause = {.nanoseconds = CANCEL_PAUSE_NS};
    while (!uring_take(ring, out)) {
        if (ring->fd < 0 || ring->pending == 0 || job_now() > ring->deadline_ns)
            return false;
        enter(ring, 1, &pause);
    }
    return true;
}

/* A request that waits would keep its descriptor open after the ring is closed, for a while. */
bool uring_close(struct uring *ring)
{
    if (ring->fd < 0)
        return true;
    struct uring_completion completion;
    uring_cancel(ring);
    while (ring->cqes && uring_take_last(ring, &completion))
        ;
    if (ring->rings && ring->rings != MAP_FAILED)
        munmap(ring->rings, ring->rings_size);
    if (ring->sqes && ring->sqes != MAP_FAILED)
        munmap(ring->sqes, ring->sqes_size);
    close(ring->fd);
    ring->fd = -1;
    return ring->pending == 0;
}

struct uring_sqe *uring_prepare(struct uring *ring, uint8_t opcode, int fd, uint64_t data)
{
    if (uring_unsubmitted(ring) == ring->entries)
        return NULL;
    struct uring_sqe *sqe = &ring->sqes[ring->tail++ & ring->sq_mask];
    ring->pending++;
    ring->has_notifications |= opcode == URING_SEND_ZC || opcode == URING_SENDMSG_ZC;
    *sqe = (struct uring_sqe){.opcode = opcode, .fd = fd, .data = data};
    return sqe;
}

int uring_submit(struct uring *ring, struct job *job, uint32_t wanted)
{
    return submit(ring, job, wanted, NULL);
}

int uring_submit_batch(struct uring *ring, struct job *job, uint32_t wanted, int64_t timeout_ns)
{
    struct timeout timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int error = submit(ring, job, wanted, &timeout);
    return error == -ETIME ? 0 : error;
}

static int submit(struct uring *ring, struct job *job, uint32_t wanted,
                  const struct timeout *timeout)
{
    int error = job_check(job);
    if (error == 0)
        error = enter(ring, wanted, timeout);
    /* EBUSY: completions have to be taken first, and there are some. */
    return error == -EBUSY || error == -EINTR ? job_check(job) : error;
}

int uring_enter(struct uring *ring, uint32_t wanted)
{
    return enter(ring, wanted, NULL);
}

/* The kernel takes submissions up to our tail, and tells by its head which slots are free again. */
static int enter(struct uring *ring, uint32_t wanted, const struct timeout *timeout)
{
    struct wait wait = {.timeout = (uintptr_t)timeout};
    uint32_t flags = ENTER_GETEVENTS | (timeout ? ENTER_EXT_ARG : 0);
    __atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
    uint32_t count = uring_unsubmitted(ring);
    long taken = syscall(SYS_io_uring_enter, ring->fd, count, wanted, flags, timeout ? &wait : NULL,
                         timeout ? sizeof(wait) : 0);
    return taken < 0 ? -errno : 0;
}

uint32_t uring_unsubmitted(const struct uring *ring)
{
    return ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}

void uring_take_back(struct uring *ring, uint32_t count)
{
    ring->tail -= count;
    ring->pending -= count;
}

bool uring_take(struct uring *ring, struct uring_completion *out)
{
    if (ring->fd < 0)
        return false;
    uint32_t head = *ring->cq_head;
    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
        ring->after_uncopied = false;
        return false;
    }
    size_t size = ring->wide ? 2 * CQE_SIZE : CQE_SIZE;
    size_t known = offsetof(struct uring_completion, is_untold);
    out->offset = 0;
    memcpy(out, ring->cqes + (head & ring->cq_mask) * size, ring->wide ? known : CQE_SIZE);
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    out->is_untold = is_untold(ring, out);
    bool is_last = !(out->flags & URING_MORE) || ring->has_notifications;
    if (is_last && !(out->flags & URING_NOTIFICATION))
        ring->pending--;
    return true;
}

/*
 * Since Linux 6.10 the notifications of sends that share a packet come in a row, and only the first
 * one says what became of it: the others always say that they were copied (io_link_skb in
 * io_uring/notif.c).
 */
static bool is_untold(struct uring *ring, const struct uring_completion *completion)
{
    bool is_notification = completion->flags & URING_NOTIFICATION;
    bool says_copied = (uint32_t)completion->result & URING_USAGE_COPIED;
    ring->after_uncopied = is_notification && (ring->after_uncopied || !says_copied);
    return ring->after_uncopied && says_copied;
}

int uring_register(const struct uring *ring, unsigned opcode, void *argument, unsigned count)
{
    long result = syscall(SYS_io_uring_register, ring->fd, opcode, argument, count);
    return result < 0 ? -errno : (int)result;
}

int uring_register_buffers(const struct uring *ring, struct iovec *buffers, unsigned count)
{
    return uring_register(ring, REGISTER_BUFFERS, buffers, count);
}

int uring_group_open(struct uring_group *group, const struct uring *ring, uint16_t id,
                     uint32_t count)
{
    size_t size = count * sizeof(*group->buffers);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *group = (struct uring_group){.buffers = memory, .count = count};
    struct buffer_ring options = {.address = (uintptr_t)memory, .entries = count, .group = id};
    return uring_register(ring, REGISTER_PBUF_RING, &options, 1);
}

void uring_group_close(struct uring_group *group)
{
    if (group->buffers)
        munmap(group->buffers, group->count * sizeof(*group->buffers));
}

void uring_group_add(struct uring_group *group, char *data, uint32_t size, uint16_t id)
{
    struct uring_buffer *buffer = &group->buffers[group->tail & (group->count - 1)];
    buffer->address = (uintptr_t)data;
    buffer->length = size;
    buffer->id = id;
    __atomic_store_n(&group->buffers[0].tail, ++group->tail, __ATOMIC_RELEASE);
}

int uring_register_event(const struct uring *ring, int event_fd)
{
    return uring_register(ring, REGISTER_EVENTFD, &event_fd, 1);
}

bool uring_has(const struct uring *ring, uint8_t opcode)
{
    struct probe probe = {.last = 0};
    int error = uring_register(ring, REGISTER_PROBE, &probe, 256);
    return error == 0 && opcode <= probe.last && probe.operations[opcode].flags & PROBE_SUPPORTED;
}
