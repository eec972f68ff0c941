/* link.h: a connection that carries vfio-user's messages, seen from its parts. */
#ifndef ZC_LINK_H
#define ZC_LINK_H

#include <stdbool.h>
#include <sys/uio.h>

#include "job.h"

/* vfio-user's header; in the host's order. */
struct header {
    uint16_t id;
    uint16_t command;
    uint32_t size; /* of the message, with the header */
    uint32_t flags;
    uint32_t error;
};

#define HEADER_TYPE 0xfu
#define HEADER_REPLY 1u
#define HEADER_NO_REPLY 0x10u
#define HEADER_ERROR 0x20u

#define COMMAND_REGION_READ 9
#define COMMAND_REGION_WRITE 10
#define COMMAND_MIG_DATA_READ 17
#define COMMAND_MIG_DATA_WRITE 18

struct message {
    struct message *next;
    struct caller *caller; /* whose it is, while it waits to be sent; NULL: the owner's */
    uint64_t size, filled;
    uint64_t pipe_at, piped; /* where bytes are missing that are in its caller's pipe; how many */
    int pipe;                /* for what is still to come of it; -1: it is read */
    bool has_chosen;         /* whether there is a pipe: it is asked for once */
    uint32_t flags;          /* ZC_MESSAGE_ */
    uint32_t fd_count, fds_lost;
    int fds[ZC_LINK_FDS_MAX]; /* owned */
    unsigned char bytes[];    /* the header first */
};

struct messages {
    struct message *first, **last;
    uint64_t held; /* bytes */
    uint64_t fds;  /* descriptors */
};

struct caller;
struct region;

/*
 * Shared by the job and by callers that have jobs of their own. Everything below `lock` is guarded
 * by it; the rest is the job's thread's.
 */
struct link {
    atomic_uint references;
    struct zc_link options;
    struct message *partial; /* whose header is here, and not all of it */
    struct message *strays;  /* descriptors that came with a header that is not whole yet */
    size_t buffered, cut;    /* bytes in `buffer`; of these, those that are in messages by now */
    bool is_broken;          /* what comes next is no message: nothing is read any more */
    unsigned char buffer[64 << 10];

    pthread_mutex_t lock;
    struct job *job;         /* NULL once it has ended */
    struct messages arrived; /* for the owner */
    uint64_t unsettled;      /* of these: not yet done with, the taken ones included */
    struct messages leaving; /* the first may be sent in part: `filled` bytes of it are gone */
    int send_error;          /* -errno: nothing is sent any more */
    bool was_refused;        /* the owner waits until there is room in `leaving` */
    bool is_ending;          /* once all is sent */
    struct caller *callers;
    uint32_t next_id; /* of the next caller: late replies to one are not given to another */
    struct region *regions;
};

/* What the owner's handle stands for. Valid until zc_job_free. */
struct link *link_of(int64_t handle);
struct link *link_hold(struct link *link);
void link_release(struct link *link);

/* link_message.c: messages, and lists of them. */
struct message *message_new(uint64_t size); /* or NULL */
void message_free(struct message *message); /* closes its descriptors; NULL: nothing */
struct header message_header(const struct message *message);
/* Takes `fds` over; those that there is no room for are closed. */
void message_add_fds(struct message *message, const int *fds, uint32_t count);
void messages_init(struct messages *messages);
void messages_put(struct messages *messages, struct message *message);
struct message *messages_take(struct messages *messages); /* NULL when there is none */
/* Whether one more may wait: always the first; then neither bytes nor descriptors without bound. */
bool messages_have_room(const struct messages *messages, uint64_t held_max);
void messages_free(struct messages *messages);

/*
 * link_receive.c; for the link's thread. Reads once; what is whole of it may be handed over then.
 * 0, ZC_END_EOF, or -errno.
 */
int link_receive(struct link *link);
/* Nobody reads the socket any more: what is in it is not left to who closes it, for that may wait.
 */
void link_drain(struct link *link);
/* Whether something whole was read, and not handed over: then nothing more is read. */
bool link_has_more(const struct link *link);
/* Hands over what is whole, as long as there is room for it. 0, or -ENOMEM. */
int link_cut(struct link *link);

/*
 * link_send.c; all with the lock held. Sends what the socket takes at once, and keeps a copy of the
 * rest, and of the descriptors, however much is waiting. 0; -ENOMEM; -EPIPE: the link has ended, or
 * nothing can be sent any more; or what sendmsg(2) says.
 */
int link_send(struct link *link, struct caller *caller, const struct iovec parts[2], const int *fds,
              uint32_t fd_count);
/* -EAGAIN: too much is waiting for `size` bytes more, and the owner is told when it is not; or 0.
 */
int link_send_refused(struct link *link, uint64_t size);
/* Likewise, of a message that becomes the link's. */
int link_send_message(struct link *link, struct caller *caller, struct message *message);
/* Goes on with what is waiting. 0, or -errno. */
int link_flush(struct link *link);
/* What is waiting is nobody's now. */
void link_disown(struct link *link, const struct caller *caller);

/*
 * link_callers.c: who calls from C. Replies to ids of its own are given to `take`, on the link's
 * thread and with the lock held, which owns them; NULL: the link is over.
 */
struct caller {
    struct caller *next;
    uint16_t first_id, ids; /* set by link_add_caller; as many calls may be under way */
    uint32_t waiting;       /* of its calls, to be sent */
    void (*take)(struct caller *caller, struct message *reply);
    /*
     * A pipe for what of this reply is not read yet when `piped_from` bytes of it are, as far as
     * there is room: the rest, and all where it is -1, is in the message. NULL: never.
     */
    int (*pipe_for)(struct caller *caller, uint16_t id);
    uint64_t piped_from;
};

/* Ids from here on are callers', lower ones are the owner's. */
#define CALLER_ID_MIN 0x8000u

/* Takes so many ids, at most 1024. -EPIPE: the link has ended; -EBUSY: others have all ids. */
int link_add_caller(struct link *link, struct caller *caller, uint16_t ids);
void link_remove_caller(struct link *link, struct caller *caller);
/*
 * With the lock held: whether the message was a caller's reply, and is taken. While all calls wait
 * to be sent there is nothing to reply to: a peer that does so would make callers call for ever.
 */
bool link_offer_to_callers(struct link *link, struct message *message);
/* With the lock held: whose reply it is; or NULL. */
struct caller *link_caller_of(const struct link *link, const struct message *message);
/* With the lock held. */
void link_end_callers(struct link *link);

/* The errno that a reply tells of, made negative; 0: it is no error. */
int link_reply_error(const struct message *reply);

/* link_regions.c; with the lock held: whether the message was answered from memory. */
bool link_answer_from_regions(struct link *link, const struct message *message);
void link_free_regions(struct link *link);

#endif
