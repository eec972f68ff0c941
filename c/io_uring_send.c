/*
 * io_uring_send.c: the mover that sends by io_uring(7): buffers that the ring reads ahead, or
 * windows of a memory, sent in their order by chains of linked SEND_ZC. Each send has two
 * completions: its result, and the notification that its memory is free (io_uring_enter(2),
 * IORING_OP_SEND_ZC).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "digest.h"
#include "memory.h"
#include "move.h"
#include "uring.h"

#define SLOTS_MAX 256
/* More than this is not pinned at once. */
#define REGISTERED_MAX (UINT64_C(1) << 30)
/* ZC_MOVE_ADAPT does not go below this: there a copy is cheaper. As in zerocopy.c. */
#define PIECE_ADAPTED_MIN (16u << 10)
/* Locked memory is counted in pages: no piece is smaller. */
#define PIECE_MIN 4096u
/* Sends to copy until the next try, when not even that may be locked. */
#define COPIES 256
#define DISCARD_SIZE 65536

/* Several completions are waited for at once, but not for longer than this. */
#define BATCH_NS 5000000
/* Of the notifications to come, one in so many is waited for: the others keep the line busy. */
#define BATCH_SHARE 4

/* Sends whose notifications are to come, at most; a power of two. */
#define SENDS_MAX 4096

/* What a completion is of. In its data: the kind, the slot, and of a send its number. */
enum kind { POLLING, READING, SENDING, DISCARDING };
#define KIND_BITS 8
#define SLOT_BITS 24

struct slot {
    enum { FREE, FILLING, READY } state;
    char *memory;   /* its own; NULL where a memory is sent */
    char *data;     /* what is left to send */
    size_t left;    /* bytes */
    size_t wanted;  /* bytes still to read */
    int64_t offset; /* in the file, of the next read */
    bool is_last;   /* the source ended in it */
    bool is_digested;
    uint32_t held; /* notifications to come */
};

/* A send, and with it its memory, is held from its result to its notification. */
struct send {
    uint32_t number;
    bool is_held;
};

struct sender {
    struct move *move;
    struct uring ring;
    struct slot slots[SLOTS_MAX];
    struct send sends[SENDS_MAX]; /* by number modulo SENDS_MAX */
    uint32_t next_number;
    unsigned depth;
    unsigned next_fill, next_send; /* slots, used in their order */
    unsigned reads;                /* under way */
    unsigned chain;                /* results to come */
    unsigned prepared;             /* of these, sends that the kernel was not shown yet */
    unsigned chain_size, chain_max;
    unsigned held;       /* notifications to come */
    uint64_t piece;      /* bytes a send, at most */
    int64_t file_offset; /* of the next slot; -1: a stream */
    int64_t file_begin;
    int end;            /* ZC_END_, once there is nothing more to fill */
    bool has_ended;     /* what the last slot had is sent */
    bool registered;    /* the buffers are */
    bool reports_usage; /* notifications say whether it was copied */
    bool datagrams;
    bool refused;    /* this socket cannot: every send is copied */
    bool is_short;   /* too much is locked: wait for notifications */
    unsigned copies; /* sends to copy until the next try */
    bool is_paced;   /* one slot at a time, each at its time */
    char discarded[DISCARD_SIZE];
};

static mover send_to_waiting, send_by_ring;
static int sender_open(struct sender *sender);
static bool is_datagrams(int fd);
static int open_buffers(struct sender *sender);
static void register_buffers(struct sender *sender);
static void sender_close(struct sender *sender);
static int send_all(struct sender *sender);
static int await_some(struct sender *sender, bool is_still);
static void take_back_rest(struct sender *sender);
static uint32_t wanted_completions(const struct sender *sender);
static bool is_over(const struct sender *sender);
static int take(struct sender *sender, const struct uring_completion *completion);
static int fill(struct sender *sender);
static bool may_fill(const struct sender *sender);
static bool is_stream(const struct sender *sender);
static void queue_read(struct sender *sender, unsigned index);
static void queue_poll(struct sender *sender);
static int take_read(struct sender *sender, unsigned index, int result);
static void queue_chain(struct sender *sender);
static unsigned ready_slots(const struct sender *sender);
static void retire(struct sender *sender);
static void queue_send(struct sender *sender, unsigned index, bool is_linked);
static int take_result(struct sender *sender, unsigned index, uint32_t number,
                       const struct uring_completion *of);
static int retry_otherwise(struct sender *sender, int error);
static int take_less(struct sender *sender);
static void take_notification(struct sender *sender, unsigned index, uint32_t number,
                              const struct uring_completion *of);
static void queue_discard(struct sender *sender);
static int take_discarded(struct sender *sender, int result);

/* The ring waits for what cannot be done at once, unless a descriptor says not to. */
int io_uring_send_run(struct move *move)
{
    return move_waiting(move, move->options.source, send_to_waiting);
}

static int send_to_waiting(struct move *move)
{
    return move_waiting(move, move->options.sink, send_by_ring);
}

static int send_by_ring(struct move *move)
{
    struct sender *sender = calloc(1, sizeof(*sender));
    if (!sender)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    sender->move = move;
    int end = sender_open(sender);
    if (end == 0)
        end = send_all(sender);
    sender_close(sender);
    free(sender);
    return end;
}

static int sender_open(struct sender *sender)
{
    struct move *move = sender->move;
    const struct zc_move *options = &move->options;
    sender->depth = sender->chain_max = options->depth;
    sender->piece = options->chunk;
    sender->file_offset = sender->file_begin = -1;
    sender->reports_usage = true;
    sender->datagrams = is_datagrams(options->sink);
    sender->is_paced = options->rate > 0 || options->interval > 0;
    /* A slot has a read, with a poll, or a send; each send has two completions. */
    struct uring_options ring = {.entries = 2 * options->depth + 1,
                                 .completions = 4 * options->depth + 1};
    int error = uring_open(&sender->ring, &ring);
    if (error == 0 && !uring_has(&sender->ring, URING_SEND_ZC))
        error = -EOPNOTSUPP;
    if (error < 0) /* the ring itself may need locked memory */
        return job_fail(&move->job, ZC_SIDE_SINK, error == -ENOMEM ? -ENOBUFS : error);
    error = move->memory ? 0 : open_buffers(sender);
    if (error < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    register_buffers(sender);
    queue_discard(sender);
    return 0;
}

static bool is_datagrams(int fd)
{
    int type;
    socklen_t length = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

/* A file that ends soon has as many as it has chunks, and one that sees its end. */
static int open_buffers(struct sender *sender)
{
    const struct zc_move *options = &sender->move->options;
    struct stat stat;
    if (fstat(options->source, &stat) < 0)
        return -errno;
    if (S_ISREG(stat.st_mode) || S_ISBLK(stat.st_mode))
        sender->file_begin = sender->file_offset = lseek(options->source, 0, SEEK_CUR);
    if (S_ISREG(stat.st_mode) && sender->file_begin >= 0) {
        int64_t left = stat.st_size - sender->file_begin;
        uint64_t chunks = left > 0 ? (uint64_t)left / options->chunk + 2 : 1;
        sender->depth = chunks < sender->depth ? (unsigned)chunks : sender->depth;
    }
    for (unsigned each = 0; each < sender->depth; each++) {
        sender->slots[each].memory = move_buffer(options->chunk);
        if (!sender->slots[each].memory)
            return -ENOMEM;
    }
    return 0;
}

/* Pinned once, not for each send. What may not be pinned at once is sent all the same. */
static void register_buffers(struct sender *sender)
{
    const struct move *move = sender->move;
    struct iovec buffers[SLOTS_MAX];
    unsigned count = 0;
    if (move->memory)
        buffers[count++] = memory_all(move->memory);
    for (; !move->memory && count < sender->depth; count++)
        buffers[count] = (struct iovec){sender->slots[count].memory, move->options.chunk};
    if (buffers[0].iov_len <= REGISTERED_MAX / count)
        sender->registered = uring_register_buffers(&sender->ring, buffers, count) == 0;
}

/* After an error sends may be in flight: the kernel holds their pages itself, we only let go. */
static void sender_close(struct sender *sender)
{
    struct move *move = sender->move;
    struct uring_completion completion;
    uring_cancel(&sender->ring);
    /* No byte that came back is lost sight of. */
    while (uring_take_last(&sender->ring, &completion))
        if (completion.data == DISCARDING && completion.result > 0)
            stat_add(&move->job.stats.discarded, (uint64_t)completion.result);
    bool is_done = uring_close(&sender->ring);
    for (unsigned each = 0; each < SLOTS_MAX; each++) {
        if (sender->slots[each].memory && is_done)
            munmap(sender->slots[each].memory, move->options.chunk);
    }
    /* The descriptor's position says how far we are, as after read(2). */
    if (sender->file_begin >= 0)
        lseek(move->options.source, sender->file_begin + (int64_t)move->job.stats.bytes, SEEK_SET);
}

static int send_all(struct sender *sender)
{
    bool is_still = false;
    for (;;) {
        retire(sender);
        int error = fill(sender);
        if (error < 0)
            return error;
        queue_chain(sender);
        if (is_over(sender))
            return sender->end;
        error = await_some(sender, is_still);
        struct uring_completion completion;
        is_still = true;
        while (error == 0 && uring_take(&sender->ring, &completion)) {
            is_still = false;
            error = take(sender, &completion);
        }
        if (error < 0)
            return error;
    }
}

/*
 * Waits for as many completions as there have to be before more can be done, for waking up is dear.
 * Not for long, unless nothing came the last time: the peer may wait for us to take what it sends.
 */
static int await_some(struct sender *sender, bool is_still)
{
    struct job *job = &sender->move->job;
    uint32_t wanted = is_still ? 1 : wanted_completions(sender);
    int error = wanted == 1 ? uring_submit(&sender->ring, job, 1)
                            : uring_submit_batch(&sender->ring, job, wanted, BATCH_NS);
    take_back_rest(sender);
    return error < 0 ? job_fail(job, ZC_SIDE_SINK, error) : 0;
}

/*
 * A kernel that lacks memory may take a part of a chain, which was prepared last. The rest would be
 * a chain of its own, and overtake the first: what is taken back is sent once that has its results.
 */
static void take_back_rest(struct sender *sender)
{
    uint32_t rest = uring_unsubmitted(&sender->ring);
    uint32_t sends = rest < sender->prepared ? rest : sender->prepared;
    uring_take_back(&sender->ring, sends);
    sender->chain -= sends;
    sender->next_number -= sends;
}

/* All results of a chain, or, where only memory is lacking, some of the notifications. */
static uint32_t wanted_completions(const struct sender *sender)
{
    if (sender->is_paced || (is_stream(sender) && sender->reads > 0))
        return 1;
    if (sender->chain > 0)
        return sender->chain;
    bool is_ready = sender->reads > 0 || sender->slots[sender->next_send].state == READY;
    return is_ready || sender->held < BATCH_SHARE ? 1 : sender->held / BATCH_SHARE;
}

static bool is_over(const struct sender *sender)
{
    bool is_sent = sender->has_ended || sender->slots[sender->next_send].state == FREE;
    return sender->end != 0 && is_sent && sender->reads + sender->chain + sender->held == 0;
}

static int take(struct sender *sender, const struct uring_completion *completion)
{
    unsigned index = (unsigned)(completion->data >> KIND_BITS) & ((1u << SLOT_BITS) - 1);
    uint32_t number = (uint32_t)(completion->data >> (KIND_BITS + SLOT_BITS));
    switch ((enum kind)(completion->data & ((1u << KIND_BITS) - 1))) {
    case READING:
        return take_read(sender, index, completion->result);
    case SENDING:
        if (!(completion->flags & URING_NOTIFICATION))
            return take_result(sender, index, number, completion);
        take_notification(sender, index, number, completion);
        return 0;
    case DISCARDING:
        return take_discarded(sender, completion->result);
    case POLLING:
        break; /* its read follows */
    }
    return 0;
}

/* The queue has room for all that the slots can have under way. */
static struct uring_sqe *prepare(struct sender *sender, uint8_t opcode, int fd, enum kind kind,
                                 unsigned index)
{
    return uring_prepare(&sender->ring, opcode, fd, (uint64_t)index << KIND_BITS | (uint64_t)kind);
}

/* --- filling */

static int fill(struct sender *sender)
{
    struct move *move = sender->move;
    while (may_fill(sender)) {
        int64_t quota = move_quota(move, move->options.chunk);
        if (quota < 0)
            return (int)quota;
        if (quota == 0) {
            sender->end = ZC_END_LIMIT;
            return 0;
        }
        struct slot *slot = &sender->slots[sender->next_fill];
        *slot = (struct slot){.memory = slot->memory, .data = slot->memory};
        if (move->memory) {
            slot->data = memory_data(move->memory);
            slot->left = (size_t)quota;
            slot->state = READY;
        } else {
            slot->wanted = (size_t)quota;
            slot->offset = sender->file_offset;
            slot->state = FILLING;
            if (sender->file_offset >= 0)
                sender->file_offset += quota;
            queue_read(sender, sender->next_fill);
        }
        move_plan(move, quota);
        sender->next_fill = (sender->next_fill + 1) % sender->depth;
    }
    return 0;
}

static bool may_fill(const struct sender *sender)
{
    const struct slot *slot = &sender->slots[sender->next_fill];
    if (sender->is_paced && sender->move->ahead > 0)
        return false;
    return sender->end == 0 && slot->state == FREE && slot->held == 0 &&
           !(is_stream(sender) && sender->reads > 0);
}

/* It has one read at a time. */
static bool is_stream(const struct sender *sender)
{
    return !sender->move->memory && sender->file_begin < 0;
}

static void queue_read(struct sender *sender, unsigned index)
{
    const struct slot *slot = &sender->slots[index];
    uint8_t opcode = sender->registered ? URING_READ_FIXED : URING_READ;
    struct uring_sqe *sqe = prepare(sender, opcode, sender->move->options.source, READING, index);
    sqe->address = (uintptr_t)(slot->memory + slot->left);
    sqe->length = (uint32_t)slot->wanted;
    sqe->offset = (uint64_t)slot->offset;
    sqe->buffer = sender->registered ? (uint16_t)index : 0;
    sender->reads++;
}

/* A stream gives what it has; of a file a slot is filled whole, up to the file's end. */
static int take_read(struct sender *sender, unsigned index, int result)
{
    struct slot *slot = &sender->slots[index];
    struct move *move = sender->move;
    sender->reads--;
    if (result == -EAGAIN)
        queue_poll(sender);
    if (result == -EAGAIN || result == -EINTR) {
        queue_read(sender, index);
        return 0;
    }
    if (result < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, result);
    slot->left += (size_t)result;
    slot->wanted -= (size_t)result;
    if (slot->offset >= 0 && result > 0 && slot->wanted > 0) {
        slot->offset += result;
        queue_read(sender, index);
        return 0;
    }
    slot->state = READY;
    slot->is_last = result == 0;
    if (slot->is_last)
        sender->end = ZC_END_EOF;
    move_plan(move, -(int64_t)slot->wanted);
    return 0;
}

/* Somebody else made the descriptor non-blocking again: the next read waits for this. */
static void queue_poll(struct sender *sender)
{
    struct uring_sqe *sqe =
        prepare(sender, URING_POLL_ADD, sender->move->options.source, POLLING, 0);
    sqe->operation_flags = POLLIN;
    sqe->flags = URING_LINK;
}

/* --- sending */

/*
 * A chain of what is ready: each send begins when the one before it has sent all that it had. The
 * next chain begins when all its results are there.
 */
static void queue_chain(struct sender *sender)
{
    sender->prepared = 0;
    if (sender->chain > 0 || sender->is_short)
        return;
    sender->chain_size = ready_slots(sender);
    for (unsigned each = 0; each < sender->chain_size; each++)
        queue_send(sender, (sender->next_send + each) % sender->depth,
                   each + 1 < sender->chain_size);
    sender->prepared = sender->chain_size;
}

/* How many can be sent behind one another. */
static unsigned ready_slots(const struct sender *sender)
{
    unsigned count = 0;
    while (!sender->has_ended && count < sender->depth && count < sender->chain_max) {
        const struct slot *slot = &sender->slots[(sender->next_send + count) % sender->depth];
        const struct send *send = &sender->sends[(sender->next_number + count) % SENDS_MAX];
        if (slot->state != READY || slot->left == 0 || send->is_held)
            break;
        count++;
        if (slot->left > sender->piece || slot->is_last)
            break;
    }
    return count;
}

/* What is sent makes room, in its order. */
static void retire(struct sender *sender)
{
    while (!sender->has_ended) {
        struct slot *slot = &sender->slots[sender->next_send];
        if (slot->state != READY || slot->left > 0)
            return;
        slot->state = FREE;
        sender->has_ended = slot->is_last;
        sender->next_send = (sender->next_send + 1) % sender->depth;
    }
}

static void queue_send(struct sender *sender, unsigned index, bool is_linked)
{
    struct slot *slot = &sender->slots[index];
    struct move *move = sender->move;
    bool copies = sender->refused || sender->copies > 0;
    if (move->digest && !slot->is_digested)
        digest_update(move->digest, slot->data, slot->left);
    slot->is_digested = true;
    uint8_t opcode = copies ? URING_SEND : URING_SEND_ZC;
    struct uring_sqe *sqe = prepare(sender, opcode, move->options.sink, SENDING, index);
    sqe->data |= (uint64_t)sender->next_number++ << (KIND_BITS + SLOT_BITS);
    sqe->address = (uintptr_t)slot->data;
    sqe->length = (uint32_t)(slot->left < sender->piece ? slot->left : sender->piece);
    sqe->operation_flags = MSG_WAITALL | MSG_NOSIGNAL;
    sqe->flags = is_linked ? URING_LINK : 0;
    if (!copies && sender->reports_usage)
        sqe->priority |= URING_REPORT_USAGE;
    if (!copies && sender->registered) {
        sqe->priority |= URING_FIXED_BUFFER;
        sqe->buffer = move->memory ? 0 : (uint16_t)index;
    }
    sender->chain++;
}

/*
 * How much was sent. A send that failed has let go of everything, though a notification may follow:
 * with URING_MORE, or without it where it was not begun because the chain broke before it.
 */
static int take_result(struct sender *sender, unsigned index, uint32_t number,
                       const struct uring_completion *of)
{
    struct slot *slot = &sender->slots[index];
    struct move *move = sender->move;
    bool is_held = of->result > 0 && of->flags & URING_MORE;
    sender->chain--;
    if (of->result <= 0)
        return retry_otherwise(sender, of->result);
    sender->sends[number % SENDS_MAX] = (struct send){.number = number, .is_held = is_held};
    sender->held += is_held;
    slot->held += is_held;
    slot->data += of->result;
    slot->left -= (size_t)of->result;
    if (sender->copies > 0)
        sender->copies--;
    stat_add(is_held ? &move->job.stats.sends : &move->job.stats.fallbacks, 1);
    move_count(move, (uint64_t)of->result);
    return 0;
}

/* A send that sent nothing is made again, unless it would fail again. Returns 0, or -errno. */
static int retry_otherwise(struct sender *sender, int error)
{
    struct move *move = sender->move;
    switch (error) {
    case -ECANCELED: /* the chain broke before it */
    case -EINTR:
        return 0;
    case -EINVAL: /* 6.0 does not report */
        if (!sender->reports_usage)
            break;
        sender->reports_usage = false;
        return 0;
    case -ECONNREFUSED: /* an earlier datagram's */
        if (!sender->datagrams)
            break;
        return 0;
    case -EOPNOTSUPP:
        if (move->options.flags & ZC_MOVE_REQUIRED)
            break;
        sender->refused = true;
        return 0;
    case -ENOMEM:
    case -ENOBUFS:
        return take_less(sender);
    default:
        break;
    }
    return job_fail(&move->job, ZC_SIDE_SINK, error == 0 ? -EIO : error);
}

/*
 * Of the memory that may be locked a chain needs all that it sends at once, and each of its sends
 * is told when there is too little. Returns 0, or -errno.
 */
static int take_less(struct sender *sender)
{
    struct move *move = sender->move;
    if (sender->chain_size == 0) /* it was told already */
        return 0;
    stat_add(&move->job.stats.retries, 1);
    if (sender->chain_size > 1)
        sender->chain_max = sender->chain_size / 2;
    else if (sender->held > 0)
        sender->is_short = true;
    else if (!sender->datagrams && sender->piece / 2 >= PIECE_MIN)
        sender->piece /= 2;
    else if (move->options.flags & ZC_MOVE_REQUIRED)
        return job_fail(&move->job, ZC_SIDE_SINK, -ENOBUFS);
    else
        sender->copies = COPIES;
    sender->chain_size = 0;
    return 0;
}

static void take_notification(struct sender *sender, unsigned index, uint32_t number,
                              const struct uring_completion *of)
{
    struct send *send = &sender->sends[number % SENDS_MAX];
    struct zc_stats *stats = &sender->move->job.stats;
    if (send->number != number || !send->is_held)
        return;
    send->is_held = false;
    sender->held--;
    sender->is_short = false;
    sender->slots[index].held--;
    stat_add(&stats->notifications, 1);
    stat_add(&stats->completions, 1);
    bool is_copied = (uint32_t)of->result & URING_USAGE_COPIED;
    if (!sender->reports_usage || of->is_untold) {
        stat_add(&stats->unknown, 1);
        return;
    }
    if (is_copied)
        stat_add(&stats->copied, 1);
    bool adapts = sender->move->options.flags & ZC_MOVE_ADAPT;
    if (adapts && is_copied && sender->piece > PIECE_ADAPTED_MIN)
        sender->piece /= 2;
}

/* --- what comes back */

/* A peer that waits for us to read would never read us. */
static void queue_discard(struct sender *sender)
{
    struct uring_sqe *sqe = prepare(sender, URING_RECV, sender->move->options.sink, DISCARDING, 0);
    sqe->address = (uintptr_t)sender->discarded;
    sqe->length = sizeof(sender->discarded);
}

static int take_discarded(struct sender *sender, int result)
{
    struct job *job = &sender->move->job;
    bool is_end = result == 0 && !sender->datagrams;
    bool is_news = result > 0 || result == -EINTR || sender->datagrams;
    if (result > 0)
        stat_add(&job->stats.discarded, (uint64_t)result);
    if (is_news)
        queue_discard(sender);
    return is_news || is_end ? 0 : job_fail(job, ZC_SIDE_SINK, result);
}
