/*
 * link_data.h: what the jobs share that move a device's migration data between a link and a
 * descriptor. Two calls are under way at a time, so that neither the device nor we wait for the
 * other; a device answers them in order.
 */
#ifndef ZC_LINK_DATA_H
#define ZC_LINK_DATA_H

#include "link.h"

#define DATA_DEPTH 2

/* Of both calls; `size` bytes of data follow in a reply to a read, and in a write. */
struct data_head {
    struct header header;
    uint32_t argsz, size;
};

struct data {
    struct job job;
    struct zc_link_data options;
    struct link *link;
    struct caller caller;
    bool awaits[DATA_DEPTH];             /* a reply; with the link's lock held */
    struct message *replies[DATA_DEPTH]; /* not yet looked at; likewise */
    bool has_link_ended;                 /* likewise */
    uint64_t begun, done;                /* calls; number n uses id n % DATA_DEPTH */
    uint32_t sizes[DATA_DEPTH];          /* bytes, of the calls under way */
    uint64_t asked;                      /* bytes, of all calls */
    int pipes[DATA_DEPTH][2];            /* pull: what goes from the socket to the sink unread */
    atomic_bool cannot_splice;           /* the sink takes nothing out of a pipe */
};

/* Starts a job that calls over a link. Returns its handle, or -errno. */
int64_t data_start(const struct zc_link_data *options, int (*run)(struct job *job));
/* The id of the next call, which has `size` bytes of data. With the link's lock held. */
uint16_t data_begin(struct data *data, uint32_t size);
/* Waits for the reply to the oldest call. 0, -EPIPE: the link is over, or -ECANCELED. */
int data_await(struct data *data, struct message **reply);

#endif
