/*
 * zerocopy_ring.h: the engine of a channel (engine.h) that sends with io_uring(7)'s SENDMSG_ZC:
 * many sends a call, each of which the kernel tells of: when it let go, and whether it was copied.
 */
#ifndef ZC_ZEROCOPY_RING_H
#define ZC_ZEROCOPY_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine.h"
#include "loans.h"
#include "uring.h"

/* Sends in flight at most. */
#define ZEROCOPY_RING_SENDS_MAX 4096

struct zerocopy_ring {
    struct loans loans; /* first: an engine's */
    struct uring uring;
    uint64_t next;      /* number of the next send */
    unsigned chain_max; /* sends at once: halved where that is too much */
    bool reports_usage; /* notifications say whether it was copied */
    struct zerocopy_ring_send {
        uint64_t number;
        uint16_t buffer;
        bool is_held; /* its notification is to come */
    } sends[ZEROCOPY_RING_SENDS_MAX];
    uint16_t places[ZEROCOPY_RING_SENDS_MAX]; /* in `sends`, that nobody has */
    unsigned place_count;
    /* The chain that is sent: its sends are `next` - `length` to `next` - 1. */
    struct {
        unsigned length, results; /* sends, and how many of them have a result */
        struct zerocopy_ring_link {
            unsigned buffer;
            size_t size;
            bool asks;      /* for a send without a copy */
            uint16_t place; /* in `sends`, if it asks */
            bool is_held;
            int result;
            struct msghdr message;
            struct iovec parts[LOANS_PARTS_MAX];
        } links[ENGINE_BATCH_MAX];
    } chain;
};

#endif
