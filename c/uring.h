/*
 * uring.h: io_uring(7) without liburing: set-up, submission, completion, registration, and only
 * what is used here. One thread owns a ring. Layouts and numbers: include/uapi/linux/io_uring.h;
 * they are written out here, for those who compile may have headers older than their kernel.
 */
#ifndef ZC_URING_H
#define ZC_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;
struct job;

/* Operations, and the kernel that had them first. */
#define URING_WRITEV 2      /* 5.1 */
#define URING_READ_FIXED 4  /* 5.1 */
#define URING_POLL_ADD 6    /* 5.1 */
#define URING_SENDMSG 9     /* 5.3 */
#define URING_READ 22       /* 5.6 */
#define URING_SEND 26       /* 5.6 */
#define URING_RECV 27       /* 5.6 */
#define URING_SEND_ZC 47    /* 6.0 */
#define URING_SENDMSG_ZC 48 /* 6.1 */
#define URING_RECV_ZC 58    /* 6.15 */

/* struct uring_sqe.flags */
#define URING_LINK 4           /* the next one begins when this one has succeeded whole */
#define URING_BUFFER_SELECT 32 /* the kernel takes a buffer of `group` */

/* struct uring_sqe.priority of the socket operations */
#define URING_POLL_FIRST 1   /* 5.19: wait, then try */
#define URING_MULTISHOT 2    /* 6.0 */
#define URING_FIXED_BUFFER 4 /* 6.0: memory registered as `buffer` */
#define URING_REPORT_USAGE 8 /* 6.1: the notification says whether it was copied */
#define URING_BUNDLE 16      /* 6.10: as many buffers of the group as there are bytes for */

/* struct uring_completion.flags */
#define URING_MORE 2         /* others follow for the same submission */
#define URING_NOTIFICATION 8 /* of SEND_ZC: the kernel has let go of the memory */

/* Result of a notification that was asked to report usage. */
#define URING_USAGE_COPIED (UINT32_C(1) << 31)

#define URING_FEATURE_BUNDLE (1u << 14)

struct uring_sqe {
    uint8_t opcode;
    uint8_t flags;
    uint16_t priority;
    int32_t fd;
    uint64_t offset; /* -1: the descriptor's own position */
    uint64_t address;
    uint32_t length;
    uint32_t operation_flags; /* MSG_, poll(2)'s events */
    uint64_t data;            /* comes back with the completion */
    uint16_t buffer;          /* registered buffer, or with URING_BUFFER_SELECT the group */
    uint16_t personality;
    uint32_t queue; /* RECV_ZC: the interface queue's id */
    uint64_t address3;
    uint64_t reserved;
};

struct uring_completion {
    uint64_t data;
    int32_t result; /* or -errno */
    uint32_t flags;
    uint64_t offset; /* RECV_ZC: where in the area; else 0 */
    bool is_untold;  /* a notification that says "copied" where nobody knows: uring_take */
};

struct uring_options {
    uint32_t entries;     /* submissions that can be queued at once */
    uint32_t completions; /* that can be outstanding */
    bool wide;            /* completions of 32 bytes, as RECV_ZC needs them */
};

struct uring {
    int fd;
    uint32_t features;
    uint32_t entries;
    uint32_t tail;          /* of the submissions that were prepared */
    uint32_t pending;       /* of these: the kernel may still use what they name */
    bool has_notifications; /* of SEND_ZC: then MORE is said of a result that is the last one */
    bool after_uncopied;    /* the notifications in a row before were not all of copies */
    int64_t deadline_ns;    /* for what is cancelled to end */
    bool wide;
    struct uring_sqe *sqes;
    char *rings; /* both queues */
    size_t rings_size, sqes_size;
    uint32_t *sq_head, *sq_tail, *cq_head, *cq_tail;
    uint32_t sq_mask, cq_mask;
    char *cqes;
};

/*
 * -EPERM: kernel.io_uring_disabled, or a sandbox; -ENOSYS: this kernel has none; -EINVAL: it lacks
 * what was asked for; -ENOMEM: a ring is locked memory (RLIMIT_MEMLOCK).
 */
int uring_open(struct uring *ring, const struct uring_options *options);

/*
 * Drops what was prepared and not submitted, and asks for the end of what is under way: until
 * uring_take_last returns false the kernel may use what it was given.
 */
void uring_cancel(struct uring *ring);

/* After uring_cancel: the next completion, waited for, but not for notifications; false: the last
 * one was taken, or what is left does not end in time. */
bool uring_take_last(struct uring *ring, struct uring_completion *out);

/*
 * Does both, first: when it returns, the kernel holds no descriptor for this ring. false: something
 * did not end, and memory that was given to it must stay mapped; sends that wait for their
 * notifications do not count, the kernel holds their pages itself.
 */
bool uring_close(struct uring *ring);

/* The next submission, all zeros but for these; NULL while the queue is full. */
struct uring_sqe *uring_prepare(struct uring *ring, uint8_t opcode, int fd, uint64_t data);

/*
 * Gives the kernel what was prepared, and waits until `wanted` completions can be taken. Returns 0,
 * -ECANCELED when the job shall end, or -errno.
 */
int uring_submit(struct uring *ring, struct job *job, uint32_t wanted);

/* The same, but waits no longer than `timeout_ns`: then there are fewer, or none. 5.11 */
int uring_submit_batch(struct uring *ring, struct job *job, uint32_t wanted, int64_t timeout_ns);

/* As uring_submit, but without a look at any job, and -EINTR or -EBUSY are returned as they are. */
int uring_enter(struct uring *ring, uint32_t wanted);

/* What was prepared, and the kernel has not taken yet: none, unless it lacks memory. */
uint32_t uring_unsubmitted(const struct uring *ring);

/* Forgets the newest `count` of these. */
void uring_take_back(struct uring *ring, uint32_t count);

/* The oldest completion that was not taken yet; of a ring that could not be opened there is none.
 */
bool uring_take(struct uring *ring, struct uring_completion *out);

/* io_uring_register(2). Returns what it does, or -errno. */
int uring_register(const struct uring *ring, unsigned opcode, void *argument, unsigned count);

/* Registers memory that sends and reads may use by its index, 0 for the first. 0, or -errno. */
int uring_register_buffers(const struct uring *ring, struct iovec *buffers, unsigned count);

/* Buffers that the kernel picks from, in the order in which they were added. 5.19 */
struct uring_group {
    struct uring_buffer {
        uint64_t address;
        uint32_t length;
        uint16_t id;
        uint16_t tail; /* of the first: so many were added */
    } * buffers;
    uint32_t count;
    uint16_t tail;
};

/* With room for `count` buffers, a power of two. Close it after its ring. 0, or -errno. */
int uring_group_open(struct uring_group *group, const struct uring *ring, uint16_t id,
                     uint32_t count);
void uring_group_close(struct uring_group *group);
/* The buffer is the kernel's until a completion has its id. */
void uring_group_add(struct uring_group *group, char *data, uint32_t size, uint16_t id);
/* `event_fd` gets an event whenever uring_enter would find completions, and now and then besides.
 */
int uring_register_event(const struct uring *ring, int event_fd);

/* Whether this kernel has the operation (IORING_REGISTER_PROBE). */
bool uring_has(const struct uring *ring, uint8_t opcode);

#endif
