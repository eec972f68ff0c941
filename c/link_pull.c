/*
 * link_pull.c: the job that takes a device's migration data, by MIG_DATA_READ. Most of it goes from
 * the socket to the sink through a pipe, splice(2), without being read.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "link_data.h"

/* A page of it holds a page of a reply, or less. Without privileges 1 MiB is allowed, pipe(7). */
#define PIPE_SIZE_MAX (4u << 20)
#define PIPE_SIZE_MIN (64u << 10)

static int pull_run(struct job *job);
static void open_pipes(struct data *data);
static int pipe_for(struct caller *caller, uint16_t id);
static int pull_all(struct data *data);
static int ask(struct data *data);
static int give(struct data *data, struct message *reply, uint32_t asked, bool *is_last);
static int write_data(struct data *data, struct message *reply, uint64_t size);
static int *pipe_of(struct data *data, const struct message *reply);
static int read_pipe(struct data *data, struct message *reply);
static int splice_all(struct data *data, struct message *reply);
static int write_all(struct data *data, const unsigned char *bytes, size_t size);

int64_t zc_link_pull_start(const struct zc_link_data *options)
{
    return data_start(options, pull_run);
}

static int pull_run(struct job *job)
{
    struct data *data = (struct data *)job;
    open_pipes(data);
    int end = link_add_caller(data->link, &data->caller, DATA_DEPTH);
    if (end < 0)
        return job_fail(job, ZC_SIDE_SOURCE, end);
    end = pull_all(data);
    link_remove_caller(data->link, &data->caller);
    return end;
}

/*
 * One for each call under way, as large as is allowed: what is being drained into a sink that waits
 * is not filled at the same time, for the link's thread would wait then. Without pipes all is read.
 */
static void open_pipes(struct data *data)
{
    for (int each = 0; each < DATA_DEPTH; each++) {
        if (pipe2(data->pipes[each], O_CLOEXEC | O_NONBLOCK) < 0)
            return;
        uint32_t room = PIPE_SIZE_MAX;
        while (room > PIPE_SIZE_MIN && fcntl(data->pipes[each][1], F_SETPIPE_SZ, room) < 0)
            room /= 2;
    }
    data->caller.piped_from = sizeof(struct data_head);
    data->caller.pipe_for = pipe_for;
}

/* On the link's thread, its lock held. The pipe of a call that is under way is empty. */
static int pipe_for(struct caller *caller, uint16_t id)
{
    struct data *data = (struct data *)((char *)caller - offsetof(struct data, caller));
    unsigned slot = id - caller->first_id;
    return data->awaits[slot] && !data->cannot_splice ? data->pipes[slot][1] : -1;
}

/* After a short reply the calls that were made ahead are answered too: nothing may be lost. */
static int pull_all(struct data *data)
{
    bool is_last = false;
    int error = 0;
    while (error == 0) {
        while (error == 0 && !is_last && data->begun - data->done < DATA_DEPTH &&
               data->asked < data->options.limit)
            error = ask(data);
        if (error == 0 && data->begun == data->done)
            return is_last ? ZC_END_EOF : ZC_END_LIMIT;
        struct message *reply = NULL;
        if (error == 0)
            error = data_await(data, &reply);
        if (error < 0)
            return job_fail(&data->job, ZC_SIDE_SOURCE, error);
        error = give(data, reply, data->sizes[data->done++ % DATA_DEPTH], &is_last);
        message_free(reply);
    }
    return error;
}

static int ask(struct data *data)
{
    uint64_t left = data->options.limit - data->asked;
    uint32_t size = left < data->options.size ? (uint32_t)left : data->options.size;
    struct data_head head = {
        .header = {.command = COMMAND_MIG_DATA_READ, .size = sizeof(head)},
        .argsz = (uint32_t)(sizeof(head) - sizeof(struct header)) + size,
        .size = size,
    };
    struct iovec parts[2] = {{.iov_base = &head, .iov_len = sizeof(head)}};
    pthread_mutex_lock(&data->link->lock);
    head.header.id = data_begin(data, size);
    int error = link_send(data->link, &data->caller, parts, NULL, 0);
    pthread_mutex_unlock(&data->link->lock);
    return error;
}

/* Its data to the descriptor. Some devices fill the reply up to what was asked: `size` counts. */
static int give(struct data *data, struct message *reply, uint32_t asked, bool *is_last)
{
    struct data_head head;
    int error = link_reply_error(reply);
    if (error == 0 && reply->size < sizeof(head))
        error = -EPROTO;
    if (error == 0) {
        memcpy(&head, reply->bytes, sizeof(head));
        if (head.size > reply->size - sizeof(head) || head.size > asked)
            error = -EPROTO;
    }
    if (error < 0)
        return job_fail(&data->job, ZC_SIDE_SOURCE, error);
    *is_last |= head.size < asked;
    stat_add(&data->job.stats.calls, 1);
    return write_data(data, reply, head.size);
}

/* The first `size` bytes of its data; where some went to the pipe, those are in their midst. */
static int write_data(struct data *data, struct message *reply, uint64_t size)
{
    uint64_t end = sizeof(struct data_head) + size;
    uint64_t pipe_end = reply->pipe_at + reply->piped;
    int error = 0;
    if (reply->piped == 0)
        return write_all(data, reply->bytes + sizeof(struct data_head), size);
    if (pipe_end > end || data->cannot_splice) {
        error = read_pipe(data, reply);
        return error < 0 ? error : write_all(data, reply->bytes + sizeof(struct data_head), size);
    }
    error = write_all(data, reply->bytes + sizeof(struct data_head),
                      reply->pipe_at - sizeof(struct data_head));
    if (error == 0)
        error = splice_all(data, reply);
    if (error == 0)
        error = write_all(data, reply->bytes + pipe_end, end - pipe_end);
    return error;
}

/* The pipe that a part of the reply is in. */
static int *pipe_of(struct data *data, const struct message *reply)
{
    return data->pipes[message_header(reply).id - data->caller.first_id];
}

/* What is in the pipe, to where it would be in the message. */
static int read_pipe(struct data *data, struct message *reply)
{
    int from = pipe_of(data, reply)[0];
    while (reply->piped > 0) {
        ssize_t got = read(from, reply->bytes + reply->pipe_at, reply->piped);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return job_fail(&data->job, ZC_SIDE_SOURCE, got < 0 ? -errno : -EPIPE);
        reply->pipe_at += (uint64_t)got;
        reply->piped -= (uint64_t)got;
    }
    return 0;
}

/* What is in the pipe, to the sink, by reference; a sink that refuses that is written to. */
static int splice_all(struct data *data, struct message *reply)
{
    struct job *job = &data->job;
    int from = pipe_of(data, reply)[0];
    while (reply->piped > 0) {
        ssize_t moved = splice(from, NULL, data->options.fd, NULL, reply->piped, 0);
        int error = 0;
        if (moved < 0)
            error = errno == EINTR ? job_check(job) : -errno;
        if (error == -EINVAL) {
            unsigned char *rest = reply->bytes + reply->pipe_at;
            uint64_t size = reply->piped;
            data->cannot_splice = true;
            error = read_pipe(data, reply);
            return error < 0 ? error : write_all(data, rest, size);
        }
        if (error == -EAGAIN)
            error = job_poll(job, data->options.fd, POLLOUT, -1);
        if (error < 0)
            return job_fail(job, ZC_SIDE_SINK, error);
        if (moved < 0)
            continue;
        reply->pipe_at += (uint64_t)moved;
        reply->piped -= (uint64_t)moved;
        stat_add(&job->stats.bytes, (uint64_t)moved);
        stat_add(&job->stats.uncopied, (uint64_t)moved);
    }
    return 0;
}

static int write_all(struct data *data, const unsigned char *bytes, size_t size)
{
    struct job *job = &data->job;
    while (size > 0) {
        ssize_t written = write(data->options.fd, bytes, size);
        int error = 0;
        if (written < 0)
            error = errno == EINTR ? job_check(job) : -errno;
        if (error == -EAGAIN)
            error = job_poll(job, data->options.fd, POLLOUT, -1);
        if (error < 0)
            return job_fail(job, ZC_SIDE_SINK, error);
        if (written < 0)
            continue;
        bytes += written;
        size -= (size_t)written;
        stat_add(&job->stats.bytes, (uint64_t)written);
    }
    return 0;
}
