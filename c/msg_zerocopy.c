/*
 * msg_zerocopy.c: the mover that sends the user's own pages: windows of a mapped file, or a ring
 * of buffers that read(2) fills. A window or buffer is used again only after the kernel's
 * completion for every send from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "move.h"
#include "zerocopy.h"

#define WINDOW_SIZE_MIN (1u << 20)
/* ZC_MOVE_ADAPT halves the chunk down to this; below, a copy is cheaper than its bookkeeping. */
#define CHUNK_ADAPTED_MIN (16u << 10)
/* So many completions, all of them copied, and a kernel that copies is believed. */
#define YIELD_COMPLETIONS 16
/* The error queue is read once in so many sends (and whenever something is waited for). */
#define SENDS_PER_DRAIN 16

struct sender {
    struct move *move;
    struct zerocopy zerocopy;
    struct buffer {
        char *memory;
        size_t size; /* of `memory` */
    } buffers[ZEROCOPY_BUFFERS_MAX];
    unsigned current;    /* the buffer that is sent from */
    char *data;          /* what is left of it */
    size_t left;         /* bytes */
    bool mapped;         /* windows of a file, or a ring of read buffers */
    int64_t file_offset; /* mapped: of the next window */
    uint64_t chunk;
    uint64_t copied_before; /* stats.copied at the last look */
    bool yielding;          /* the kernel copies: end when the buffer is sent */
};

typedef bool condition(const struct sender *sender);

static int sender_open(struct sender *sender, struct move *move);
static void sender_close(struct sender *sender);
static int send_all(struct sender *sender);
static int next_buffer(struct sender *sender, size_t quota);
static int map_window(struct sender *sender, struct buffer *buffer);
static int read_buffer(struct sender *sender, struct buffer *buffer, size_t quota);
static int send_piece(struct sender *sender, size_t size);
static int make_room(struct sender *sender, size_t size);
static int send_copied(struct sender *sender, size_t size);
static void sent_bytes(struct sender *sender, size_t size);
static int look_at_completions(struct sender *sender);
static int await_completions(struct sender *sender, condition *reached);
static condition current_buffer_is_free, nothing_in_flight;
static int drain(struct move *move);

int msg_zerocopy_run(struct move *move)
{
    struct sender *sender = calloc(1, sizeof(*sender));
    if (!sender)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    int end = sender_open(sender, move);
    if (end == 0)
        end = send_all(sender);
    sender_close(sender);
    free(sender);
    return end;
}

static int sender_open(struct sender *sender, struct move *move)
{
    sender->move = move;
    sender->chunk = move->options.chunk;
    struct stat stat;
    int64_t offset = lseek(move->options.source, 0, SEEK_CUR);
    sender->mapped = offset >= 0 && fstat(move->options.source, &stat) == 0 &&
                     S_ISREG(stat.st_mode) && stat.st_size > offset;
    sender->file_offset = offset;
    int error = zerocopy_open(&sender->zerocopy, move->options.sink, &move->job.stats);
    if (error < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, error);
    move->mover_state = sender;
    move->drain_error_queue = drain;
    return 0;
}

/* After an error sends may be in flight: the kernel holds their pages itself, we only let go. */
static void sender_close(struct sender *sender)
{
    for (unsigned i = 0; i < ZEROCOPY_BUFFERS_MAX; i++) {
        if (sender->buffers[i].memory)
            munmap(sender->buffers[i].memory, sender->buffers[i].size);
    }
    if (sender->mapped) /* the descriptor's position says how far we are, as after read(2) */
        lseek(sender->move->options.source, sender->file_offset - (int64_t)sender->left, SEEK_SET);
    sender->move->drain_error_queue = NULL;
}

static int send_all(struct sender *sender)
{
    struct move *move = sender->move;
    int end = ZC_END_LIMIT;
    int64_t quota;
    while ((quota = move_quota(move, sender->chunk)) > 0) {
        int more = sender->left > 0 ? 1 : next_buffer(sender, (size_t)quota);
        if (more < 0)
            return more;
        if (more == 0) {
            end = ZC_END_EOF;
            break;
        }
        int error = send_piece(sender, (size_t)quota < sender->left ? (size_t)quota : sender->left);
        if (error == 0)
            error = look_at_completions(sender);
        if (error < 0)
            return error;
        if (sender->yielding && sender->left == 0) {
            end = ZC_END_COPIED;
            break;
        }
    }
    int error = quota < 0 ? (int)quota : await_completions(sender, nothing_in_flight);
    return error < 0 ? error : end;
}

/* Fills the next free buffer. Returns 1, 0 at the end of the source, or -errno. */
static int next_buffer(struct sender *sender, size_t quota)
{
    sender->current = (sender->current + 1) % sender->move->options.depth;
    int error = await_completions(sender, current_buffer_is_free);
    if (error < 0)
        return error;
    struct buffer *buffer = &sender->buffers[sender->current];
    return sender->mapped ? map_window(sender, buffer) : read_buffer(sender, buffer, quota);
}

static int map_window(struct sender *sender, struct buffer *buffer)
{
    struct move *move = sender->move;
    struct stat stat;
    if (fstat(move->options.source, &stat) < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    /* Pages behind a new end of the file read as zeros: nobody may take those for its content. */
    if (stat.st_size < sender->file_offset)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENODATA);
    if (stat.st_size == sender->file_offset)
        return 0;
    if (buffer->memory)
        munmap(buffer->memory, buffer->size);
    int64_t in_page = sender->file_offset % sysconf(_SC_PAGESIZE);
    uint64_t chunk = move->options.chunk;
    int64_t size = chunk > WINDOW_SIZE_MIN ? (int64_t)chunk : WINDOW_SIZE_MIN;
    if (size > stat.st_size - sender->file_offset)
        size = stat.st_size - sender->file_offset;
    uint64_t limit = move->options.limit - move->job.stats.bytes;
    if ((uint64_t)size > limit)
        size = (int64_t)limit;
    buffer->size = (size_t)(in_page + size);
    buffer->memory = mmap(NULL, buffer->size, PROT_READ, MAP_SHARED, move->options.source,
                          sender->file_offset - in_page);
    if (buffer->memory == MAP_FAILED) {
        buffer->memory = NULL;
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    }
    int error = move_digest_file(move, sender->file_offset, (uint64_t)size);
    if (error < 0)
        return error;
    sender->data = buffer->memory + in_page;
    sender->left = (size_t)size;
    sender->file_offset += size;
    return 1;
}

static int read_buffer(struct sender *sender, struct buffer *buffer, size_t quota)
{
    struct move *move = sender->move;
    if (!buffer->memory) {
        buffer->size = move->options.chunk;
        buffer->memory = move_buffer(buffer->size);
        if (!buffer->memory)
            return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    }
    ssize_t got = move_read(move, buffer->memory, quota);
    if (got <= 0)
        return (int)got;
    if (move->digest)
        digest_update(move->digest, buffer->memory, (size_t)got);
    sender->data = buffer->memory;
    sender->left = (size_t)got;
    return 1;
}

/* Sends some of the next `size` bytes, waiting until that is possible. Returns 0, or -errno. */
static int send_piece(struct sender *sender, size_t size)
{
    struct move *move = sender->move;
    for (;;) {
        ssize_t sent = zerocopy_send(&sender->zerocopy, sender->current, sender->data, size);
        if (sent >= 0) {
            sent_bytes(sender, (size_t)sent);
            return 0;
        }
        int error = (int)sent;
        if (error == -EAGAIN) {
            error = move_wait_sink(move, POLLOUT);
        } else if (error == -ENOBUFS) {
            error = make_room(sender, size);
            if (error > 0)
                return 0;
        } else if (error == -EINTR) {
            error = job_check(&move->job);
        } else if (error == -EFAULT) { /* the file became shorter than its mapping */
            error = job_fail(&move->job, ZC_SIDE_SOURCE, -ENODATA);
        } else {
            error = job_fail(&move->job, ZC_SIDE_SINK, error);
        }
        if (error < 0)
            return error;
    }
}

/*
 * Too much in flight for the option memory or the locked memory that we may have (ENOBUFS): waits
 * for completions. With nothing in flight none would ever come: then this piece is copied.
 * Returns 0 to try again, 1 when the piece was sent, or -errno.
 */
static int make_room(struct sender *sender, size_t size)
{
    struct move *move = sender->move;
    stat_add(&move->job.stats.retries, 1);
    int messages = drain(move);
    if (messages < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, messages);
    if (messages > 0)
        return 0;
    if (zerocopy_in_flight(&sender->zerocopy) > 0)
        return move_wait_sink(move, 0);
    return send_copied(sender, size);
}

static int send_copied(struct sender *sender, size_t size)
{
    struct move *move = sender->move;
    ssize_t sent = send(move->options.sink, sender->data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        stat_add(&move->job.stats.fallbacks, 1);
        sent_bytes(sender, (size_t)sent);
        return 1;
    }
    if (errno == EAGAIN)
        return move_wait_sink(move, POLLOUT);
    return errno == EINTR ? job_check(&move->job) : job_fail(&move->job, ZC_SIDE_SINK, -errno);
}

static void sent_bytes(struct sender *sender, size_t size)
{
    sender->data += size;
    sender->left -= size;
    move_count(sender->move, size);
}

/* Reads the error queue now and then, and draws conclusions from what was copied. */
static int look_at_completions(struct sender *sender)
{
    struct move *move = sender->move;
    const struct zc_stats *stats = &move->job.stats;
    bool learning = stats->completions < YIELD_COMPLETIONS;
    if (!learning && stats->sends % SENDS_PER_DRAIN != 0)
        return 0;
    int messages = drain(move);
    if (messages < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, messages);
    bool copied_again = stats->copied > sender->copied_before;
    if (move->options.flags & ZC_MOVE_ADAPT && copied_again && sender->chunk > CHUNK_ADAPTED_MIN)
        sender->chunk /= 2;
    sender->copied_before = stats->copied;
    bool believed = stats->completions >= YIELD_COMPLETIONS;
    if (move->options.flags & ZC_MOVE_YIELD && believed && stats->copied == stats->completions)
        sender->yielding = true;
    return 0;
}

static int await_completions(struct sender *sender, condition *reached)
{
    while (!reached(sender)) {
        int messages = drain(sender->move);
        if (messages < 0)
            return job_fail(&sender->move->job, ZC_SIDE_SINK, messages);
        int error = messages > 0 ? 0 : move_wait_sink(sender->move, 0);
        if (error < 0)
            return error;
    }
    return 0;
}

static bool current_buffer_is_free(const struct sender *sender)
{
    return zerocopy_buffer_is_free(&sender->zerocopy, sender->current);
}

static bool nothing_in_flight(const struct sender *sender)
{
    return zerocopy_in_flight(&sender->zerocopy) == 0;
}

static int drain(struct move *move)
{
    struct sender *sender = move->mover_state;
    return zerocopy_drain(&sender->zerocopy);
}
