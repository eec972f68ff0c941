/*
 * zcrx_queue.h: an interface queue of io_uring's zero-copy receive: its registration, its areas,
 * and the refill queue by which what it lent us goes back (include/uapi/linux/io_uring/zcrx.h).
 */
#ifndef ZC_ZCRX_QUEUE_H
#define ZC_ZCRX_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring;

/* The upper bits of a completion's offset are its area's number. */
#define ZCRX_AREA_SHIFT 48

struct zcrx_area {
    char *memory; /* page aligned, borrowed until the ring is closed */
    size_t size;  /* whole pages */
};

struct zcrx_queue {
    const struct uring *ring;
    uint32_t id;
    uint32_t entries; /* of the refill queue; a power of two */
    bool can_flush;   /* Linux 6.19 */
    bool can_add;     /* another area: Linux 7.3 */
    char *region;     /* refill queue and counters, shared with the kernel */
    size_t region_size;
    uint32_t *head, *tail;
    struct zcrx_refill *refills;
    uint64_t given;         /* refills, so far */
    const uint64_t *copied; /* bytes; NULL: this kernel does not count them (7.2 does) */
};

struct zcrx_queue_options {
    uint32_t interface; /* index; 0: none, the device-less form (7.1) */
    uint32_t queue;
    struct zcrx_area area; /* number 0 */
};

/*
 * -EPERM: CAP_NET_ADMIN; -EINVAL: this kernel has none; -EOPNOTSUPP, -ENODEV: this interface has
 * none; -EEXIST: the queue is taken; -ENOMEM: locked memory.
 */
int zcrx_queue_open(struct zcrx_queue *queue, const struct uring *ring,
                    const struct zcrx_queue_options *options);

/* After its ring was closed; also when it could not be opened, and where it is all zeros. */
void zcrx_queue_close(struct zcrx_queue *queue);

/* Gives back what a completion lent us at `offset`. False: there is no room now. */
bool zcrx_queue_refill(struct zcrx_queue *queue, uint64_t offset);

/* Has the kernel take what was given back, which it does by itself only when a card needs it. */
int zcrx_queue_flush(struct zcrx_queue *queue);

/* Given back, and not yet taken by the kernel. */
uint32_t zcrx_queue_pending(const struct zcrx_queue *queue);

/* Its number is the next one. -EOPNOTSUPP, -ENOMEM. */
int zcrx_queue_add(struct zcrx_queue *queue, const struct zcrx_area *area);

#endif
