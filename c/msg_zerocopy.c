/*
 * msg_zerocopy.c: the mover that sends the user's own pages: windows of a memory or of a mapped
 * file, or a ring of buffers that read(2) fills. A window or buffer is used again only after the
 * kernel's completion for every send from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "memory.h"
#include "move.h"
#include "notices.h"
#include "zerocopy.h"

#define WINDOW_SIZE_MIN (1u << 20)
/* Below, a copy is cheaper: some 10 KB, says msg_zerocopy.rst. As in src/channel/choose.ts. */
#define WORTHWHILE (16u << 10)

struct sender {
    struct move *move;
    struct zerocopy zerocopy;
    struct buffer {
        char *memory;
        size_t size; /* of `memory` */
    } buffers[LOANS_BUFFERS_MAX];
    unsigned current;    /* the buffer that is sent from */
    char *data;          /* what is left of it */
    size_t left;         /* bytes */
    bool mapped;         /* windows of a file, or a ring of read buffers */
    int64_t file_offset; /* mapped: of the next window */
};

typedef bool condition(const struct sender *sender);

static int sender_open(struct sender *sender, struct move *move);
static void sender_close(struct sender *sender);
static int send_all(struct sender *sender);
static int next_buffer(struct sender *sender, size_t quota);
static int64_t source_size(const struct sender *sender, int64_t sent);
static int map_window(struct sender *sender, struct buffer *buffer);
static int read_buffer(struct sender *sender, struct buffer *buffer, size_t quota);
static int await_source(struct sender *sender);
static int send_piece(struct sender *sender, size_t size);
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
    struct stat stat;
    int64_t offset = lseek(move->options.source, 0, SEEK_CUR);
    sender->mapped = !move->memory && offset >= 0 && fstat(move->options.source, &stat) == 0 &&
                     S_ISREG(stat.st_mode) && stat.st_size > offset;
    sender->file_offset = offset;
    uint32_t flags = move->options.flags;
    struct loans_options options = {
        .piece = move->options.chunk,
        .worthwhile = WORTHWHILE,
        .required = flags & ZC_MOVE_REQUIRED,
        .adapts = flags & ZC_MOVE_ADAPT,
    };
    int error = zerocopy_open(&sender->zerocopy, move->options.sink, &options, &move->job);
    if (error == -EBUSY && !options.required) /* another's ids: every send is copied */
        error = 0;
    if (error == 0 && flags & ZC_MOVE_NOTICES)
        error = notices_open(&move->job);
    if (error < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, error);
    move->mover_state = sender;
    move->drain_error_queue = drain;
    return 0;
}

/* After an error sends may be in flight: the kernel holds their pages itself, we only let go. */
static void sender_close(struct sender *sender)
{
    for (unsigned i = 0; i < LOANS_BUFFERS_MAX; i++) {
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
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        int more = sender->left > 0 ? 1 : next_buffer(sender, (size_t)quota);
        if (more < 0)
            return more;
        if (more == 0) {
            end = ZC_END_EOF;
            break;
        }
        int error = send_piece(sender, (size_t)quota < sender->left ? (size_t)quota : sender->left);
        if (error < 0)
            return error;
    }
    int error = quota < 0 ? (int)quota : await_completions(sender, nothing_in_flight);
    if (error < 0 || !sender->mapped)
        return error < 0 ? error : end;
    int64_t size = source_size(sender, sender->file_offset - (int64_t)sender->left);
    return size < 0 ? (int)size : end;
}

/*
 * Bytes, or -errno; -ENODATA: fewer than `sent`. Pages behind a new end of the file read as zeros:
 * nobody may take those for its content.
 */
static int64_t source_size(const struct sender *sender, int64_t sent)
{
    struct move *move = sender->move;
    struct stat stat;
    if (fstat(move->options.source, &stat) < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    return stat.st_size >= sent ? stat.st_size : job_fail(&move->job, ZC_SIDE_SOURCE, -ENODATA);
}

/* Fills the next free buffer. Returns 1, 0 at the end of the source, or -errno. */
static int next_buffer(struct sender *sender, size_t quota)
{
    sender->current = (sender->current + 1) % sender->move->options.depth;
    int error = await_completions(sender, current_buffer_is_free);
    if (error < 0)
        return error;
    if (sender->move->memory) {
        sender->data = memory_data(sender->move->memory);
        sender->left = quota;
        return 1;
    }
    struct buffer *buffer = &sender->buffers[sender->current];
    return sender->mapped ? map_window(sender, buffer) : read_buffer(sender, buffer, quota);
}

static int map_window(struct sender *sender, struct buffer *buffer)
{
    struct move *move = sender->move;
    int64_t end = source_size(sender, sender->file_offset);
    if (end < 0)
        return (int)end;
    if (end == sender->file_offset)
        return 0;
    if (buffer->memory)
        munmap(buffer->memory, buffer->size);
    int64_t in_page = sender->file_offset % sysconf(_SC_PAGESIZE);
    uint64_t chunk = move->options.chunk;
    int64_t size = chunk > WINDOW_SIZE_MIN ? (int64_t)chunk : WINDOW_SIZE_MIN;
    if (size > end - sender->file_offset)
        size = end - sender->file_offset;
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
    int error = await_source(sender);
    if (error < 0)
        return error;
    ssize_t got = move_read(move, buffer->memory, quota);
    if (got <= 0)
        return (int)got;
    if (move->digest)
        digest_update(move->digest, buffer->memory, (size_t)got);
    sender->data = buffer->memory;
    sender->left = (size_t)got;
    return 1;
}

/* Meanwhile it hears what the sink says of its sends, and its reset. 0, or -errno. */
static int await_source(struct sender *sender)
{
    struct move *move = sender->move;
    for (;;) {
        struct pollfd fds[2] = {{.fd = move->options.source, .events = POLLIN},
                                {.fd = move->options.sink}};
        int error = job_poll_both(&move->job, fds);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
        if (fds[0].revents)
            return 0;
        int messages = drain(move);
        error = messages > 0 ? 0 : messages < 0 ? messages : zc_socket_error(move->options.sink);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SINK, error);
        if (messages == 0) /* its end, which is no error: more need not come */
            return move_wait_source(move);
    }
}

/* Sends some of the next `size` bytes, waiting until that is possible. Returns 0, or -errno. */
static int send_piece(struct sender *sender, size_t size)
{
    struct move *move = sender->move;
    struct iovec piece = {.iov_base = sender->data, .iov_len = size};
    for (;;) {
        ssize_t sent = zerocopy_send(&sender->zerocopy, sender->current, &piece, 1);
        if (sent >= 0) {
            sender->data += sent;
            sender->left -= (size_t)sent;
            move_count(move, (uint64_t)sent);
            int messages = zerocopy_drain_sometimes(&sender->zerocopy);
            return messages < 0 ? job_fail(&move->job, ZC_SIDE_SINK, messages) : 0;
        }
        int error = (int)sent;
        if (error == -EAGAIN)
            error = move_wait_sink(move, POLLOUT);
        else if (error == -EBUSY)
            error = move_wait_sink(move, 0);
        else if (error == -EINTR)
            error = job_check(&move->job);
        else if (sender->zerocopy.loans.datagrams && error == -ECONNREFUSED)
            error = 0;             /* an earlier datagram's, which the error queue tells of */
        else if (error == -EFAULT) /* the file became shorter than its mapping */
            error = job_fail(&move->job, ZC_SIDE_SOURCE, -ENODATA);
        else
            error = job_fail(&move->job, ZC_SIDE_SINK, error);
        if (error < 0)
            return error;
    }
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
    return loans_is_free(&sender->zerocopy.loans, sender->current);
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
