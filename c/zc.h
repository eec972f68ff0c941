/*
 * zc.h: the whole border between C, which moves bytes, and TypeScript, which decides.
 *
 * Every call returns a value >= 0, or -errno. No call prints, exits, or blocks its caller: what
 * waits runs as a job on a thread of its own. Structs hold fixed-width fields only, in an order
 * that needs no padding; zc_layouts() tells where each lies. Descriptors are borrowed, never
 * closed, except where a call returns a new one.
 */
#ifndef ZC_H
#define ZC_H

#include <stdint.h>

#define ZC_EXPORT __attribute__((visibility("default")))

/* ---------------------------------------------------------------------------------------- jobs */

#define ZC_STATE_RUNNING 0
#define ZC_STATE_ENDED 1

/* Which end of a move said no. */
#define ZC_SIDE_NONE 0
#define ZC_SIDE_SOURCE 1
#define ZC_SIDE_SINK 2

/* Why a job without an error ended. */
#define ZC_END_NONE 0
#define ZC_END_EOF 1    /* move: the source has no more; channel: all writes are complete */
#define ZC_END_LIMIT 2  /* move: zc_move.limit bytes were moved, or its duration is over */
#define ZC_END_CLOSED 3 /* finish: the peer took every byte, and closed */
#define ZC_END_ACKNOWLEDGED                                                                        \
    4                  /* finish: the peer took every byte, and keeps its side open; relay:        \
                          both peers did, and have ended their sides */
#define ZC_END_READY 5 /* wait: the descriptor is ready */

/*
 * What a job has done so far: written by its thread alone, one store a field, readable at any
 * moment. All fields are final once `state` is ZC_STATE_ENDED.
 */
struct zc_stats {
    uint64_t state;         /* ZC_STATE_ */
    uint64_t error;         /* errno, 0 while there is none; ECANCELED after zc_job_cancel */
    uint64_t side;          /* ZC_SIDE_ of `error` */
    uint64_t end;           /* ZC_END_ */
    uint64_t bytes;         /* given to the sink */
    uint64_t calls;         /* system calls that moved them */
    uint64_t sends;         /* sends with MSG_ZEROCOPY: each takes one id */
    uint64_t completions;   /* ids that the kernel has let go of */
    uint64_t copied;        /* of these: copied after all */
    uint64_t unknown;       /* of these: in a joined range, which tells of its first id alone */
    uint64_t notifications; /* messages read from the error queue */
    uint64_t joined;        /* of these: covering more than one id */
    uint64_t unordered;     /* of these: not starting at the oldest id in flight */
    uint64_t retries;       /* sends refused for lack of option or locked memory (ENOBUFS) */
    uint64_t fallbacks;     /* sends made without MSG_ZEROCOPY: too small, too little memory, or
                               the kernel copies anyway */
    uint64_t discarded;     /* bytes that the sink's peer sent, read and thrown away */
    uint64_t pending;       /* finish, relay: bytes that the peer has not acknowledged */
    uint64_t uncopied;      /* bytes received that reached us without a copy: mapped, or lent */
    uint64_t untold;        /* bytes received of which this kernel does not tell whether it did */
    uint64_t lent;          /* zcrx: pieces of its area that the kernel lent us */
    uint64_t returned;      /* zcrx: of these, such as it has taken back */
    uint64_t holes;         /* bytes not written because they were zero (ZC_MOVE_SPARSE) */
    int64_t began_ns;       /* CLOCK_MONOTONIC, when its thread began */
    int64_t first_ns;       /* a move from a socket: when its first bytes were through */
    int64_t last_ns;        /* and its last, so far */
    int64_t ended_ns;       /* when its thread ended */
};

/*
 * A job's handle is the address of its zc_stats; it stays valid until zc_job_free. When a job
 * ends, or has something for its owner, 8 bytes that add 1 are written to the eventfd, or the
 * non-blocking socket, that it was given; many jobs may share one.
 */

/* A new eventfd, closed on exec, owned by the caller. Errors: eventfd(2). */
ZC_EXPORT int zc_event_open(void);
/*
 * Adds 1 to an eventfd that may be another process's, and never waits: one that is full has been
 * signalled already. Errors: EBADF; EINVAL: it is no eventfd.
 */
ZC_EXPORT int zc_event_signal(int fd);
/*
 * Takes what an eventfd has, which may be another process's too, and never waits. -EAGAIN: there is
 * nothing, or somebody else took it.
 */
ZC_EXPORT int zc_event_take(int fd, uint64_t *out);

/*
 * Asks a job to end with ECANCELED, whatever system call it sits in. A call that was just about
 * to be entered can miss the request: repeat it until the job has ended. Returns 0.
 */
ZC_EXPORT int zc_job_cancel(int64_t job);

/* Frees a job that has ended. Returns 0, or -EBUSY while it runs. */
ZC_EXPORT int zc_job_free(int64_t job);

/* -------------------------------------------------------------------------------------- memory */

#define ZC_MEMORY_HUGE 1  /* of huge pages, memfd_create(2); ENOMEM: not enough are reserved */
#define ZC_MEMORY_TOUCH 2 /* written to, a word a cache line, before each time it is sent */

/*
 * Memory to send from, owned by the caller: `size` bytes or more of noise, which a move goes
 * through in windows of its `chunk`, over and over. Each begins `misalign` bytes (less than a page)
 * after a page does. One move at a time; the first one fills it. Errors: EINVAL, ENOMEM,
 * memfd_create(2), mmap(2).
 */
ZC_EXPORT int64_t zc_memory_new(uint64_t size, uint64_t misalign, uint32_t flags);
ZC_EXPORT int zc_memory_free(int64_t memory);

/* ---------------------------------------------------------------------------------------- move */

#define ZC_MOVER_COPY 0          /* read(2), write(2) */
#define ZC_MOVER_SENDFILE 1      /* sendfile(2): regular file -> anything */
#define ZC_MOVER_SPLICE 2        /* splice(2): pipe -> socket, socket -> pipe, or through a pipe */
#define ZC_MOVER_MSG_ZEROCOPY 3  /* send(2) with MSG_ZEROCOPY: anything -> TCP or vsock */
#define ZC_MOVER_IO_URING_SEND 4 /* io_uring(7), SEND_ZC: anything -> TCP, UDP or vsock */
#define ZC_MOVER_TCP_ZEROCOPY 5  /* getsockopt(2), TCP_ZEROCOPY_RECEIVE: TCP -> anything */
#define ZC_MOVER_IO_URING_RECEIVE 6 /* io_uring(7), multishot RECV: a socket -> anything */
#define ZC_MOVER_ZCRX 7             /* io_uring(7), RECV_ZC: a TCP socket -> anything */
#define ZC_MOVER_DISCARD 8          /* recv(2) with MSG_TRUNC: TCP -> /dev/null */

/* msg-zerocopy: never copy, and go on asking where the kernel does; else ENOBUFS. */
#define ZC_MOVE_REQUIRED 1
/* copy: seek over blocks of zeros in the sink, a regular file that is empty from here on. */
#define ZC_MOVE_SPARSE 2
/* msg-zerocopy: `chunk` is where to start: it is halved when a send was copied (vsock's credit). */
#define ZC_MOVE_ADAPT 4
/* msg-zerocopy: keep what the error queue says for zc_notices_take. */
#define ZC_MOVE_NOTICES 8

/*
 * One move of bytes: from `source`'s position (or stream) to `sink`. Where a move ends, another
 * with the same descriptors can carry on. Refused before the first byte (`bytes` is 0) with
 * EINVAL, ENOSYS, EPERM or EOPNOTSUPP: this mover cannot join these two, another may. ENODATA: the
 * source, a regular file, became shorter than what was already taken from it.
 */
struct zc_move {
    int64_t digest;     /* from zc_digest_new, or 0; takes in every byte in order */
    int64_t memory;     /* from zc_memory_new, or 0: what is sent, instead of the source */
    uint64_t limit;     /* bytes; UINT64_MAX: until the end of the source */
    uint64_t duration;  /* ns, after which it ends as at the limit, to a few ms, though not before
                           something was moved; 0: for ever */
    uint64_t interval;  /* ns: window n of the memory is sent at start_ns + n * interval, or as
                           soon after as it can be; 0: all at once */
    int64_t start_ns;   /* CLOCK_MONOTONIC */
    uint64_t request;   /* bytes, for each of which that the sink took a byte goes to `answer`; 0 */
    uint64_t rate;      /* bytes a second; 0: no limit */
    uint64_t chunk;     /* bytes a call at most; 1 (with ZC_MOVE_SPARSE 4096) to 1 GiB */
    uint32_t depth;     /* msg-zerocopy, io-uring: buffers in flight, 2 to 256 */
    uint32_t pipe_size; /* splice: bytes that a pipe is enlarged to, where it is allowed */
    uint32_t mover;     /* ZC_MOVER_ */
    uint32_t flags;     /* ZC_MOVE_ */
    uint32_t interface; /* zcrx: index; 0: none, the device-less form */
    uint32_t queue;     /* zcrx: of that interface */
    int32_t source;     /* descriptor, borrowed until the job has ended */
    int32_t sink;       /* likewise */
    int32_t event_fd;   /* told of the end */
    int32_t answer;     /* descriptor, likewise, where `request` is not 0 */
};

/* Starts a move. Returns its handle. Errors: EINVAL (options), EAGAIN, ENOMEM (no thread). */
ZC_EXPORT int64_t zc_move_start(const struct zc_move *move);

/* --------------------------------------------------------------------------------------- relay */

/* Which end of a relay broke. */
#define ZC_SIDE_NEAR 1
#define ZC_SIDE_FAR 2

/* One direction of a relay: written by the job's thread alone, one store a field. */
struct zc_flow {
    uint64_t bytes;  /* given to the sink */
    uint64_t calls;  /* system calls that gave them */
    uint64_t missed; /* bytes that its tee was not given; unless 0, it is given no more */
    uint64_t ended;  /* 1: the source's end was passed on */
};

/* Two connected stream sockets, non-blocking, and what becomes of a copy of what passes. */
struct zc_relay {
    uint64_t flows;     /* address of two struct zc_flow, borrowed until the job has ended: forth,
                           from near to far, and back */
    uint32_t pipe_size; /* bytes that go at once, at most, and that each pipe is enlarged to, where
                           it is allowed; the tees, too */
    int32_t near;       /* descriptor, borrowed until the job has ended */
    int32_t far;        /* likewise */
    int32_t tee_forth;  /* the write end of a pipe that is given all that goes forth, by tee(2), as
                           long as it has room at once; -1: none */
    int32_t tee_back;   /* likewise of all that goes back */
    int32_t event_fd;   /* told of the end, and when a tee is given up, or has all: from then on it
                           is borrowed no more */
};

/*
 * Joins two sockets: what one sends goes to the other through a pipe, splice(2), at once. An end is
 * passed on as an end, shutdown(2), and the other direction goes on. Ends with
 * ZC_END_ACKNOWLEDGED when both directions have ended, and both peers have acknowledged every byte
 * (as zc_finish; `pending`: bytes that are not). A connection that breaks is its error, `side`
 * tells which: what that one had said before has been passed on as far as it could go at once; to
 * reset both is left to the caller. Its `bytes` are those of both directions. Returns the job's
 * handle. Errors: EINVAL.
 */
ZC_EXPORT int64_t zc_relay_start(const struct zc_relay *relay);

/* ------------------------------------------------------------------------------------- answers */

/* Times to within a thousandth: see zc_histogram_bucket. */
#define ZC_HISTOGRAM_BUCKETS 56320

/* What comes back for the windows of a move with an `interval`: a byte for each, in order. */
struct zc_answers {
    uint64_t interval; /* of the move; ns */
    int64_t start_ns;  /* likewise */
    uint64_t
        counts; /* address of ZC_HISTOGRAM_BUCKETS uint64_t, borrowed until the job has ended */
    int32_t fd; /* likewise */
    int32_t event_fd;
};

/* Counts how long after each window was due its answer came. Its `bytes` are the answers. */
ZC_EXPORT int64_t zc_answers_start(const struct zc_answers *answers);

/* The bucket of a time; below 1024 ns a bucket is a nanosecond, above 1/1024 of a power of two. */
ZC_EXPORT uint32_t zc_histogram_bucket(int64_t ns);
/* CLOCK_MONOTONIC; ns. */
ZC_EXPORT int64_t zc_clock_now(void);

/* ------------------------------------------------------------------------- numbered datagrams */

#define ZC_DATAGRAM_SIZE_MIN 16
#define ZC_DATAGRAM_SIZE_MAX 65507

/* Numbers have 64 bits, not 32. */
#define ZC_DATAGRAMS_WIDE 1
/* Receiving: only the headers are copied out of the kernel (MSG_TRUNC, udp(7)). */
#define ZC_DATAGRAMS_HEADERS 2

/*
 * Datagrams of one size, as iperf3 sends them. Each begins with seconds and microseconds of
 * CLOCK_MONOTONIC at its sending, u32 each, and its number, counted from 1, all big-endian.
 */
struct zc_datagrams {
    int64_t memory;    /* from zc_memory_new: what follows the header; one job at a time */
    uint64_t size;     /* bytes of each, with its header */
    uint64_t limit;    /* datagrams; UINT64_MAX: none */
    uint64_t duration; /* ns; 0: for ever */
    uint64_t rate;     /* bytes a second, on average since the begin; 0: no limit */
    uint32_t burst;    /* datagrams at least between two looks at the rate; 1 or more */
    uint32_t flags;    /* ZC_DATAGRAMS_ */
    int32_t fd;        /* connected, borrowed until the job has ended */
    int32_t event_fd;
};

/*
 * Sends them. Its `bytes` are a multiple of `size`, and the last number is bytes / size: a number
 * whose datagram the kernel refused is the next one's. Ends with ZC_END_LIMIT. ECONNREFUSED: an
 * ICMP message said that nobody listens.
 */
ZC_EXPORT int64_t zc_datagrams_start(const struct zc_datagrams *datagrams);

/* What came in so far: written by the job's thread alone, one store a field. */
struct zc_arrivals {
    uint64_t datagrams;    /* with a header */
    uint64_t highest;      /* number */
    uint64_t lost;         /* numbers that were passed over, and did not come late */
    uint64_t out_of_order; /* came late, or twice */
    uint64_t malformed;    /* too short for a header, or a number above 2^53: not counted */
    uint64_t jitter_ns;    /* RFC 1889, appendix A.8 */
};

struct zc_arrivals_options {
    uint64_t arrivals; /* address of a struct zc_arrivals, borrowed until the job has ended */
    uint64_t size;     /* bytes that are looked at of each, at most */
    uint32_t flags;    /* ZC_DATAGRAMS_ */
    int32_t fd;        /* likewise borrowed */
    int32_t event_fd;
    uint32_t reserved;
};

/*
 * Receives them until it is cancelled. Times of arrival are the kernel's (SO_TIMESTAMPNS). An error
 * that only says that the peer is not there, ECONNREFUSED, is passed over.
 */
ZC_EXPORT int64_t zc_arrivals_start(const struct zc_arrivals_options *options);
/* Jitter is counted anew, from the next datagram on. Returns 0. */
ZC_EXPORT int zc_arrivals_restart(int64_t job);

/* Where the next datagram of a socket comes from: a struct sockaddr. Returns its length. */
ZC_EXPORT int zc_datagram_peer(int fd, void *out, uint32_t capacity);

/* ------------------------------------------------------------------------------------- channel */

/* Never copy, and go on asking where the kernel does; else ENOBUFS or EOPNOTSUPP. */
#define ZC_CHANNEL_REQUIRED 1
/* `piece` is where to start: it is halved when a send was copied (vsock's credit). */
#define ZC_CHANNEL_ADAPT 2
/* Never ask. */
#define ZC_CHANNEL_COPY 4
/* By io_uring(7) instead of MSG_ZEROCOPY: EPERM, ENOSYS or EOPNOTSUPP where this kernel has none.
 */
#define ZC_CHANNEL_IO_URING 8

#define ZC_CHANNEL_DEPTH_MAX 1024
#define ZC_CHANNEL_PARTS_MAX 16
/* The tag of an error that came after all writes were sent (UDP): the next call's. */
#define ZC_CHANNEL_NO_TAG 0

/* Writes from memory to a socket, which come back once the kernel has let go of it. */
struct zc_channel {
    uint64_t piece;      /* bytes a send, at most; a datagram is never cut */
    uint64_t worthwhile; /* bytes: shorter sends are copied */
    int32_t fd;          /* a connected socket, borrowed until the job has ended */
    int32_t event_fd;    /* told of completions, and of the end */
    uint32_t depth;      /* writes outstanding, 1 to ZC_CHANNEL_DEPTH_MAX */
    uint32_t flags;      /* ZC_CHANNEL_ */
};

/* Starts a channel. Returns its handle. Errors: EINVAL (options), EAGAIN, ENOMEM. */
ZC_EXPORT int64_t zc_channel_start(const struct zc_channel *channel);

struct zc_part {
    uint64_t address;
    uint64_t size;
};

/*
 * Queues one write (for datagrams: one message) of up to ZC_CHANNEL_PARTS_MAX parts, whose memory
 * is the channel's until the completion with this `tag` (not ZC_CHANNEL_NO_TAG) was taken. Returns
 * 0, -EAGAIN when `depth` writes are outstanding, -EPIPE after zc_channel_end or the job's end.
 */
ZC_EXPORT int zc_channel_write(int64_t job, uint64_t tag, const struct zc_part *parts,
                               uint32_t count);

/* How a write ended. */
struct zc_completion {
    uint64_t tag;
    uint64_t bytes;    /* that the kernel took: all, unless there is an error */
    int64_t held_ns;   /* from zc_channel_write until the kernel let go */
    uint32_t uncopied; /* its sends, by what is known of them */
    uint32_t copied;   /* by the kernel after all, or because it was not asked */
    uint32_t unknown;  /* in a joined range, which tells of its first send alone */
    uint32_t error;    /* errno, or 0 */
    uint32_t held;     /* 1: the kernel has not let go, and will not tell: never use it again */
    uint32_t reserved;
};

/* Takes up to `capacity` completions, in the order in which the kernel let go. Returns how many. */
ZC_EXPORT int zc_channel_take(int64_t job, struct zc_completion *out, uint32_t capacity);

/* No more writes: the job ends with ZC_END_EOF once all are complete. Returns 0. */
ZC_EXPORT int zc_channel_end(int64_t job);

/* -------------------------------------------------------------------------------- error queue */

/* A message of a socket's error queue (ip(7), IP_RECVERR; linux/errqueue.h), as the kernel put it.
 */
struct zc_notice {
    int64_t read_ns;      /* CLOCK_MONOTONIC, when it was read */
    int64_t latency_ns;   /* zero-copy: since the send with the first id; -1: that was not ours */
    int64_t stamp_s;      /* timestamping: CLOCK_REALTIME, or the card's clock */
    int64_t stamp_ns;     /* and nanoseconds of it */
    uint32_t origin;      /* SO_EE_ORIGIN_ */
    uint32_t error;       /* errno, or 0 */
    uint32_t type;        /* ICMP's */
    uint32_t code;        /* ICMP's; or flags that belong to the origin */
    uint32_t info;        /* zero-copy: the first id; timestamping: SCM_TSTAMP_ */
    uint32_t data;        /* zero-copy: the last id; timestamping: the key */
    uint32_t hardware;    /* 1: the stamp is the card's */
    uint32_t reserved;    /* 0 */
    uint8_t offender[32]; /* a struct sockaddr: who sent the ICMP; zeros where nobody did */
};

/*
 * Takes up to `capacity` of what a job with notices has read so far. Returns how many; 0: the
 * job's eventfd tells when there are more. -EINVAL: this job has none.
 */
ZC_EXPORT int zc_notices_take(int64_t job, struct zc_notice *out, uint32_t capacity);

struct zc_watch {
    int32_t fd; /* a socket, borrowed until the job has ended */
    int32_t event_fd;
    uint32_t follow; /* 1: go on until cancelled; 0: until the queue is empty */
    uint32_t reserved;
};

/* Takes the error queue of `fd`, for zc_notices_take. Returns the job's handle. */
ZC_EXPORT int64_t zc_watch_start(const struct zc_watch *watch);

/* ------------------------------------------------------------------------- wait, and finish */

struct zc_wait {
    int64_t timeout_ms; /* -1: for ever; ends with ETIMEDOUT */
    int32_t fd;         /* borrowed until the job has ended */
    uint32_t events;    /* poll(2) events */
    int32_t event_fd;
    uint32_t reserved;
};

/* Waits until `fd` is ready (or has an error, or a hang-up). Returns the job's handle. */
ZC_EXPORT int64_t zc_wait_start(const struct zc_wait *wait);

struct zc_finish {
    int64_t linger_ms; /* how long to wait for the peer's close once all is acknowledged */
    int32_t fd;        /* a connected stream socket, borrowed until the job has ended */
    int32_t event_fd;
};

/*
 * The sender's end: half-closes `fd`, then waits until the peer has acknowledged every byte
 * (SIOCOUTQ, tcp(7); on a unix socket: has read every byte) and, up to `linger_ms`, until it has
 * closed, which tells nothing where it had done so before. A reset ends with ECONNRESET. A kernel
 * that cannot tell (vsock before 6.12) is asked for the peer's close alone. Returns the job's
 * handle.
 */
ZC_EXPORT int64_t zc_finish_start(const struct zc_finish *finish);

/* -------------------------------------------------------------------------------------- digest */

#define ZC_DIGEST_XXH3 1   /* XXH3-64, seed 0, big-endian: 8 bytes */
#define ZC_DIGEST_SHA256 2 /* FIPS 180-4: 32 bytes */
#define ZC_DIGEST_SIZE_MAX 32

/* A new digest, owned by the caller. Errors: EINVAL, ENOMEM. Used by one job at a time. */
ZC_EXPORT int64_t zc_digest_new(uint32_t algorithm);
/* The digest of all bytes so far; `out` has ZC_DIGEST_SIZE_MAX bytes. Returns how many are used. */
ZC_EXPORT int zc_digest_value(int64_t digest, uint8_t *out);
ZC_EXPORT int zc_digest_free(int64_t digest);

/* ------------------------------------------------------------------------- descriptors, sockets */

/* What a descriptor is. */
struct zc_fd {
    int64_t size;      /* st_size */
    int64_t position;  /* lseek(2), -1 where it cannot seek */
    uint64_t device;   /* st_rdev */
    uint32_t mode;     /* st_mode: S_IFMT and permissions */
    uint32_t flags;    /* F_GETFL */
    uint32_t domain;   /* AF_, 0 where it is no socket */
    uint32_t type;     /* SOCK_ */
    uint32_t protocol; /* IPPROTO_ */
    uint32_t block;    /* st_blksize */
};

/* Fills `out`. Errors: EBADF, fstat(2). */
ZC_EXPORT int zc_fd_describe(int fd, struct zc_fd *out);
/*
 * Takes over a descriptor that came from a peer, and closes it; on another thread, where that may
 * take as long as the peer likes: a socket that lingers, a file system that he serves. Returns 0.
 */
ZC_EXPORT int zc_close_later(int fd);
/* Sets or clears O_NONBLOCK. Returns 1 if it was set before, else 0. */
ZC_EXPORT int zc_fd_nonblocking(int fd, int on);

/* Characters a line of a terminal (ioctl_tty(2), TIOCGWINSZ), 0 where it does not say. -ENOTTY. */
ZC_EXPORT int zc_fd_columns(int fd);

/* pipe2(2), closed on exec: `out` gets where it is read, and where it is written. */
ZC_EXPORT int zc_pipe_open(int32_t out[2]);

/* socket(2), non-blocking and closed on exec. Returns a descriptor that the caller owns. */
ZC_EXPORT int zc_socket_open(int domain, int type, int protocol);
/* Addresses are the bytes of a struct sockaddr. */
/* socketpair(2) of unix streams, as zc_socket_open makes them: `out` gets two descriptors. */
ZC_EXPORT int zc_socket_pair(int32_t out[2]);
ZC_EXPORT int zc_socket_bind(int fd, const void *address, uint32_t length);
ZC_EXPORT int zc_socket_listen(int fd, int backlog);
/* Returns 0, or -EINPROGRESS: wait for POLLOUT, then ask zc_socket_error. */
ZC_EXPORT int zc_socket_connect(int fd, const void *address, uint32_t length);
/* Returns a non-blocking descriptor that the caller owns, or -EAGAIN: wait for POLLIN. */
ZC_EXPORT int zc_socket_accept(int fd);
/* The pending error (SO_ERROR), which this takes away, as -errno; or 0. */
ZC_EXPORT int zc_socket_error(int fd);
/* Writes the socket's own name, or with `peer` the other end's. Returns its length in bytes. */
ZC_EXPORT int zc_socket_name(int fd, int peer, void *out, uint32_t capacity);
/* setsockopt(2) and getsockopt(2); the latter returns the length in bytes. */
ZC_EXPORT int zc_socket_set(int fd, int level, int option, const void *value, uint32_t length);
ZC_EXPORT int zc_socket_get(int fd, int level, int option, void *out, uint32_t capacity);

/*
 * A copy of another process's descriptor, which the caller owns: pidfd_getfd(2). -EPERM: that needs
 * the right to trace it (ptrace(2)); -ESRCH: no such process; -EBADF: no such descriptor.
 */
ZC_EXPORT int zc_fd_of_process(int pid, int fd);
/* Bytes sent and not acknowledged (SIOCOUTQ, tcp(7)), or -errno. */
ZC_EXPORT int zc_socket_unsent(int fd);

/* Binds the calling thread, and all jobs that it starts from now on, to a processor; -1: to any. */
ZC_EXPORT int zc_processor_bind(int processor);

/* ---------------------------------------------------------------------------------- read ahead */

/* Memory of whole pages, less than 2 GiB, mapped twice, one behind the other. Returns its address.
 */
ZC_EXPORT int64_t zc_ring_new(uint64_t size);
ZC_EXPORT int zc_ring_free(int64_t ring, uint64_t size);

struct zc_reader {
    uint64_t ring; /* from zc_ring_new, borrowed until the job has ended */
    uint64_t size;
    int32_t fd; /* borrowed until the job has ended */
    int32_t event_fd;
};

/*
 * Reads `fd` to its end, ahead of its owner by one ring: byte n of the stream lies at n modulo
 * `size`, and what is unread never wraps. zc_stats.bytes tells how many there are, the eventfd that
 * there are more. Returns the job's handle.
 */
ZC_EXPORT int64_t zc_reader_start(const struct zc_reader *reader);
/* The owner is done with so many more bytes, counted from the oldest. */
ZC_EXPORT int zc_reader_release(int64_t job, uint64_t bytes);

/* ------------------------------------------------------------- the RAM of a migrated machine */

#define ZC_RAM_BLOCKS_MAX 4096
#define ZC_RAM_SIZE_MAX (UINT64_C(1) << 44) /* of all blocks; two bits a page are kept */
#define ZC_RAM_ROUNDS_MAX 256               /* later ones count as the last */
#define ZC_RAM_REGISTERS 16384

/* Where records come: each goes on with blocks of its own. */
#define ZC_RAM_MAIN 0
#define ZC_RAM_URGENT 1 /* what a postcopy's destination has asked for: in no order */
#define ZC_RAM_CHANNELS 2

/* Why a scan stopped. */
#define ZC_RAM_MORE 0         /* the next record is not whole */
#define ZC_RAM_END 1          /* after EOS: the section's end */
#define ZC_RAM_FLUSH 2        /* after MULTIFD_FLUSH */
#define ZC_RAM_SIZES 3        /* after MEM_SIZE: a list of blocks follows, `offset` has their sum */
#define ZC_RAM_COMPRESSED 4   /* before a page's be32 length, and so many bytes of zlib's */
#define ZC_RAM_BAD_FLAGS 5    /* these, and the following: before the record that is bad */
#define ZC_RAM_BAD_CONTINUE 6 /* the block of the record before it, and there is none */
#define ZC_RAM_BAD_BLOCK 7    /* of no block in the list */
#define ZC_RAM_BAD_OFFSET 8   /* beyond its block */
#define ZC_RAM_BAD_FILL 9     /* a page filled with something else than zeros */
#define ZC_RAM_BAD_XBZRLE 10

struct zc_ram_scan {
    uint64_t consumed; /* bytes */
    uint64_t offset;   /* of the last record, in its block; with SIZES: the sum of the list */
    uint32_t flags;
    uint32_t stop;  /* ZC_RAM_ */
    uint32_t block; /* of COMPRESSED */
    uint32_t reserved;
};

/* Pages, and bytes of their contents as they came. */
struct zc_ram_counts {
    uint64_t normal;
    uint64_t zero;
    uint64_t xbzrle;
    uint64_t again; /* of all three: of which another was sent before */
    uint64_t empty; /* of the normal: all zeros, where somebody looked */
    uint64_t bytes;
};

/* A multifd packet's pages; the addresses are the caller's memory. */
struct zc_ram_packet {
    uint64_t offsets; /* address of be64[normal + zero] */
    uint64_t pages;   /* address of the normal ones' contents; 0: unknown */
    uint32_t normal;
    uint32_t zero;
};

/*
 * The records of "ram" sections (QEMU, migration/ram.c), in any portions: told apart, checked,
 * counted. With `sample_pages` it looks at the contents too: which are zeros, how many differ, and
 * so many picked at random. Returns a handle, for one thread at a time; zc_ram_free ends it.
 */
ZC_EXPORT int64_t zc_ram_new(uint32_t page_size, uint32_t sample_pages);
ZC_EXPORT int zc_ram_free(int64_t ram);
/* Returns its index. -EEXIST, -E2BIG (a limit above), -EINVAL (the name), -ENOMEM. */
ZC_EXPORT int zc_ram_add_block(int64_t ram, const void *name, uint32_t length, uint64_t size);
/* From now on the block's pages are written to `fd`, which is borrowed, from `base` on. */
ZC_EXPORT int zc_ram_image(int64_t ram, uint32_t block, int fd, uint64_t base);
/*
 * Takes whole records of a channel until there are no more, or something else follows. 0, or -errno
 * of a write.
 */
ZC_EXPORT int zc_ram_scan(int64_t ram, uint32_t channel, const void *bytes, uint64_t length,
                          struct zc_ram_scan *out);
/* -EBADMSG: an offset that the block does not have. */
ZC_EXPORT int zc_ram_packet(int64_t ram, uint32_t block, const struct zc_ram_packet *packet);
/*
 * Whole pages of a mapped-ram block, from `offset` on; those of its bitmap (a bit a page, the
 * lowest bit of the first byte first) are taken.
 */
ZC_EXPORT int zc_ram_mapped(int64_t ram, uint32_t block, uint64_t offset, const void *bytes,
                            uint64_t length, const void *bitmap);
ZC_EXPORT int zc_ram_counts(int64_t ram, struct zc_ram_counts *out);
/* -EINVAL: there is none of this index. */
ZC_EXPORT int zc_ram_counts_of_block(int64_t ram, uint32_t block, struct zc_ram_counts *out);
ZC_EXPORT int zc_ram_counts_of_round(int64_t ram, uint32_t round, struct zc_ram_counts *out);
/* The address of a bit a page, in 64-bit words: the image has it, and it is not all zeros; or 0. */
ZC_EXPORT int64_t zc_ram_kept(int64_t ram, uint32_t block);
/* HyperLogLog's registers, of the XXH3 of all pages that are not zeros. */
ZC_EXPORT int zc_ram_registers(int64_t ram, uint8_t out[ZC_RAM_REGISTERS]);
struct zc_ram_records {
    uint64_t ram; /* a handle, which nobody else uses until the job has ended */
    uint32_t block;
    int32_t sink; /* borrowed, as the image is */
    int32_t event_fd;
    uint32_t reserved;
};

/*
 * Writes all pages of a block that has an image, in their order, as records: those that it keeps
 * whole, the others as zeros. Returns the job's handle. -EINVAL: there is no such block, or image.
 */
ZC_EXPORT int64_t zc_ram_records_start(const struct zc_ram_records *records);
/* Copies the pages that were picked; returns how many. -ENOBUFS. */
ZC_EXPORT int zc_ram_sample(int64_t ram, void *out, uint64_t capacity);

/* ----------------------------------------------------------------------------------------- link */

#define ZC_LINK_FDS_MAX 253 /* of a message: SCM_MAX_FD, unix(7) */

/* Why a message is no message; it is the last one, and only its header is there. */
#define ZC_MESSAGE_SIZE_BAD 1

/* A connected unix stream socket that carries vfio-user's messages, both ways. */
struct zc_link {
    uint64_t size_max; /* bytes of a message that is taken, with its header of 16 */
    uint64_t held_max; /* bytes, C's own for each message included, that wait for the owner, or for
                          the socket: beyond, nothing is read or taken to be sent, until some of
                          them are gone; 1 message is always taken. So are ZC_LINK_FDS_MAX
                          descriptors for the owner */
    int32_t fd;        /* non-blocking, borrowed until the job has ended */
    int32_t event_fd;  /* told of what arrived, of room after EAGAIN, and of the end */
};

struct zc_message {
    uint64_t size;     /* bytes, with the header */
    uint32_t flags;    /* ZC_MESSAGE_ */
    uint32_t fd_count; /* descriptors that came with it: the caller's now */
    uint32_t fds_lost; /* more, that there was no room for, and that are closed */
    uint32_t reserved;
    int32_t fds[ZC_LINK_FDS_MAX];
    uint32_t reserved_too;
};

/*
 * The one that reads and writes the socket. Ends with ZC_END_EOF when the peer has closed, with
 * ZC_END_CLOSED after zc_link_end; ECONNRESET: it broke, or ended within a message; EPIPE: what
 * waited to be sent cannot be, and what the peer had said before that is here. Returns the job's
 * handle, which the calls below take until it is freed. Errors: EINVAL.
 */
ZC_EXPORT int64_t zc_link_start(const struct zc_link *link);
/*
 * The next message, copied to `out`. Returns 1; 0: there is none for now; -EMSGSIZE: it is larger
 * than `capacity`, `message->size` tells, and it is still there.
 */
ZC_EXPORT int zc_link_take(int64_t link, void *out, uint64_t capacity, struct zc_message *message);
/* The owner is done with the oldest message that it took: regions may be answered from memory. */
ZC_EXPORT int zc_link_settle(int64_t link);
/*
 * Sends a message that is `head` and `tail`, all of it and in one piece, with descriptors, which
 * stay the caller's. The upper half of the message ids is for the jobs that call over the link.
 * Never waits. Returns 0; -EAGAIN: too much is waiting to be sent, there will be news; -EPIPE: the
 * link has ended; sendmsg(2).
 */
ZC_EXPORT int zc_link_send(int64_t link, const void *head, uint64_t head_size, const void *tail,
                           uint64_t tail_size, const int32_t *fds, uint32_t fd_count);
/* Ends it once all is sent; what still arrives is dropped. */
ZC_EXPORT int zc_link_end(int64_t link);

#define ZC_REGION_READ 1
#define ZC_REGION_WRITE 2

/* A region of a device that is memory and nothing else. */
struct zc_region {
    uint64_t address;   /* borrowed until the link is freed */
    uint64_t size;      /* bytes */
    uint64_t dirty;     /* address of a bit for each 4096 bytes, in 64-bit words, which is set when
                           they are written; borrowed likewise; 0: none */
    uint32_t index;     /* as messages name it */
    uint32_t flags;     /* ZC_REGION_ */
    uint32_t count_max; /* bytes of one access */
    uint32_t reserved;
};

/*
 * From now on reads and writes of this region are answered without its owner, when nothing else
 * that came before waits for the owner, and nothing is wrong with them. Said again of a region, it
 * is what was said last: without flags it is the owner's again. Errors: ENOMEM.
 */
ZC_EXPORT int zc_link_serve(int64_t link, const struct zc_region *region);

/* Migration data, between the device at the other end of a link and a descriptor. */
struct zc_link_data {
    int64_t link;     /* is kept until the job is freed */
    uint64_t limit;   /* bytes; UINT64_MAX: all */
    uint32_t size;    /* bytes a message */
    int32_t fd;       /* borrowed until the job has ended */
    int32_t event_fd; /* told of the end */
    uint32_t reserved;
};

/*
 * From the device to `fd`, by MIG_DATA_READ. Ends with ZC_END_EOF when the device had less than it
 * was asked for: in PRE_COPY there may be more later. Its `uncopied` bytes were never read. An
 * error's `side` tells whose it is: the device's, or its connection's, are the source's. EPROTO: a
 * reply tells of more data than it has, or than was asked for; EPIPE: the link has ended.
 */
ZC_EXPORT int64_t zc_link_pull_start(const struct zc_link_data *data);
/* From `fd`, to its end, to the device, by MIG_DATA_WRITE: here they are the sink's. */
ZC_EXPORT int64_t zc_link_push_start(const struct zc_link_data *data);

#define ZC_LINK_DEPTH_MAX 1024

/* One call, made over and over. */
struct zc_link_calls {
    int64_t link;          /* is kept until the job is freed */
    uint64_t request;      /* address of the message; copied; its id is not used */
    uint64_t request_size; /* bytes */
    uint64_t limit;        /* calls; UINT64_MAX: none */
    uint64_t duration;     /* ns; 0: for ever */
    uint64_t counts;       /* address of ZC_HISTOGRAM_BUCKETS uint64_t, borrowed until the job has
                              ended: how long they took */
    uint32_t depth;        /* under way at once; 1 to ZC_LINK_DEPTH_MAX */
    int32_t event_fd;
};

/*
 * Its `calls` are those that were answered, its error is the first that one was answered with;
 * EPIPE: the link has ended. After `duration` no more are made, and those under way are waited for.
 */
ZC_EXPORT int64_t zc_link_calls_start(const struct zc_link_calls *calls);

/* ------------------------------------------------------------------------------- shared memory */

/* A new file in memory, of a size that nobody can change. Errors: memfd_create(2). */
ZC_EXPORT int zc_shared_memory_open(uint64_t size);
/* mmap(2), shared; `flags` are ZC_REGION_. Returns the address. */
ZC_EXPORT int64_t zc_map(int fd, uint64_t offset, uint64_t size, uint32_t flags);
ZC_EXPORT int zc_unmap(int64_t address, uint64_t size);
/*
 * Copies from and to mapped memory that another process may take away at any moment. -EFAULT: it
 * has, or it is no ordinary memory.
 */
ZC_EXPORT int zc_mapped_read(int64_t address, void *out, uint64_t size);
ZC_EXPORT int zc_mapped_write(int64_t address, const void *bytes, uint64_t size);

/* ---------------------------------------------------------------------------------------- vfio */

struct zc_vfio {
    uint64_t request;  /* of linux/vfio.h or linux/iommufd.h */
    uint64_t argument; /* a number, or the address of bytes borrowed until the job has ended */
    int32_t fd;        /* likewise borrowed */
    int32_t event_fd;
};

/*
 * One ioctl(2), which takes as long as a device needs for it: a change of its state, a reset. What
 * it returned, a descriptor for example, is in zc_stats.bytes. Not to be cancelled: no device can
 * be told to stop half way. Returns the job's handle; the job's errors are ioctl(2)'s.
 */
ZC_EXPORT int64_t zc_vfio_start(const struct zc_vfio *vfio);

/* --------------------------------------------------------------------------------------- probes */

/* Whether this kernel's io_uring has SENDMSG_ZC: 1 or 0. -EPERM, -ENOSYS: it has none for us. */
ZC_EXPORT int zc_probe_sendmsg_zc(void);
/* The number of a network interface, netdevice(7). -ENODEV. */
ZC_EXPORT int zc_card_index(const char *name);
/* How many of its flow rules steer to this receive queue, or may. -EOPNOTSUPP: it has no rules. */
ZC_EXPORT int zc_card_rules(const char *name, uint32_t queue);
/* This machine's CID: 3 and up in a guest, 2 on a host, 1 or UINT32_MAX: neither. -ENOENT: none. */
ZC_EXPORT int64_t zc_vsock_local_cid(void);

/* -------------------------------------------------------------------------------------- layouts */

/*
 * Writes the structs above as text, a line each field: "struct field offset size", and for each
 * struct first "struct * 0 sizeof". Returns the length in bytes, or -ENOBUFS.
 */
ZC_EXPORT int zc_layouts(char *out, uint32_t capacity);

#endif
