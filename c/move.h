/* move.h: what all movers share: limit and rate, waiting, reading, writing, digest, errors. */
#ifndef ZC_MOVE_H
#define ZC_MOVE_H

#include <stdbool.h>

#include "job.h"

struct digest;
struct memory;

struct move {
    struct job job;
    struct zc_move options;
    struct digest *digest; /* or NULL */
    struct memory *memory; /* what is sent, instead of the source; or NULL */
    int64_t next_call;     /* ns: not before, to keep the rate */
    int64_t deadline;      /* ns of CLOCK_MONOTONIC_COARSE; 0: none */
    uint64_t windows;      /* of the memory, begun so far */
    uint64_t ahead;        /* bytes on their way to the sink, not counted yet */
    uint64_t answered;     /* requests */
    bool source_is_socket;
    bool sink_is_socket;
    bool sink_is_null;  /* /dev/null: what it takes need not be given to it */
    bool peer_finished; /* the sink's peer has half-closed: nothing more to discard */
    /* Reads the sink's error queue; returns how many messages, or -errno. NULL: it has none. */
    int (*drain_error_queue)(struct move *move);
    void *mover_state;
};

/* A mover: returns ZC_END_EOF, ZC_END_LIMIT, ZC_END_COPIED, or -errno from move_fail. */
typedef int mover(struct move *move);

mover copy_run, sendfile_run, splice_run, msg_zerocopy_run, io_uring_send_run;
mover tcp_zerocopy_run, io_uring_receive_run, zcrx_run, discard_run;

/*
 * Copies by reads into `buffer`, which has `options.chunk` bytes, until some `bytes` are through:
 * then returns ZC_END_NONE; else as a mover.
 */
int copy_span(struct move *move, char *buffer, uint64_t bytes);

/* The copy mover with ZC_MOVE_SPARSE; `buffer` has `options.chunk` bytes. */
int sparse_all(struct move *move, char *buffer);

/*
 * How many bytes the next call may move: at most `wanted` and what the limit, and the memory's
 * window, leave. Waits until the rate allows it. Returns 0 at the limit, or -ECANCELED.
 */
int64_t move_quota(struct move *move, uint64_t wanted);

/*
 * `bytes` more (or fewer) are on their way: whoever has several calls under way says so before
 * move_count does, and the next quota begins behind them.
 */
void move_plan(struct move *move, int64_t bytes);

/* The sink took `bytes` in one call. */
void move_count(struct move *move, uint64_t bytes);

/* -errno of a call that touched both ends, or `side`'s: notes whose it is, and returns it. */
int move_fail(struct move *move, int error);

/* Waits until the source can be read. Returns 0, or -errno from move_fail. */
int move_wait_source(struct move *move);

/*
 * Waits for `events` on the sink (0: until its error queue moved). Meanwhile what the sink's peer
 * sends is read and thrown away: a peer that waits for us to read would never read us. Returns 0,
 * or -errno.
 */
int move_wait_sink(struct move *move, short events);

/*
 * Runs a mover whose calls shall wait for `fd`, one of the move's: it is blocking meanwhile, also
 * for whoever else has it open.
 */
int move_waiting(struct move *move, int fd, mover *run);

bool move_source_is_tcp(const struct move *move);

/*
 * read(2) from the source into `buffer`, waiting where it must; without one, a TCP socket's bytes
 * are dropped in it: tcp(7), MSG_TRUNC. 0 at the end, or -errno.
 */
ssize_t move_read(struct move *move, void *buffer, size_t size);

/* Writes all of `buffer` to the sink, counting. Returns 0, or -errno. */
int move_write(struct move *move, const void *buffer, size_t size);

/* Takes `size` bytes of the source, a regular file, at `offset` into the digest. 0, or -errno. */
int move_digest_file(struct move *move, int64_t offset, uint64_t size);

/* Anonymous memory, page aligned, for munmap(2); NULL when there is none. */
void *move_buffer(size_t size);

#endif
