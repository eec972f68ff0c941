/* link_push.c: the job that gives a device its migration data, by MIG_DATA_WRITE. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "link_data.h"

static int push_run(struct job *job);
static int push_all(struct data *data);
static int push_one(struct data *data, bool *is_last);
static ssize_t fill(struct data *data, unsigned char *to, size_t size);
static int settle(struct data *data, uint64_t until);

int64_t zc_link_push_start(const struct zc_link_data *options)
{
    return data_start(options, push_run);
}

static int push_run(struct job *job)
{
    struct data *data = (struct data *)job;
    int end = link_add_caller(data->link, &data->caller, DATA_DEPTH);
    if (end < 0)
        return job_fail(job, ZC_SIDE_SINK, end);
    end = push_all(data);
    link_remove_caller(data->link, &data->caller);
    return end;
}

static int push_all(struct data *data)
{
    bool is_last = false;
    int error = 0;
    while (error == 0 && !is_last && data->asked < data->options.limit) {
        error = settle(data, data->begun < DATA_DEPTH ? 0 : data->begun - DATA_DEPTH + 1);
        if (error == 0)
            error = push_one(data, &is_last);
    }
    if (error == 0)
        error = settle(data, data->begun);
    if (error < 0)
        return error;
    return is_last ? ZC_END_EOF : ZC_END_LIMIT;
}

static int push_one(struct data *data, bool *is_last)
{
    uint64_t left = data->options.limit - data->asked;
    size_t room = left < data->options.size ? (size_t)left : data->options.size;
    struct message *message = message_new(sizeof(struct data_head) + room);
    if (!message)
        return job_fail(&data->job, ZC_SIDE_SINK, -ENOMEM);
    ssize_t got = fill(data, message->bytes + sizeof(struct data_head), room);
    *is_last = got < (ssize_t)room;
    if (got <= 0) {
        message_free(message);
        return (int)got;
    }
    struct data_head head = {
        .header = {.command = COMMAND_MIG_DATA_WRITE,
                   .size = (uint32_t)(sizeof(head) + (size_t)got)},
        .argsz = (uint32_t)(sizeof(head) - sizeof(struct header) + (size_t)got),
        .size = (uint32_t)got,
    };
    message->size = head.header.size;
    pthread_mutex_lock(&data->link->lock);
    head.header.id = data_begin(data, head.size);
    memcpy(message->bytes, &head, sizeof(head));
    int error = link_send_message(data->link, &data->caller, message);
    pthread_mutex_unlock(&data->link->lock);
    return error < 0 ? job_fail(&data->job, ZC_SIDE_SINK, error) : 0;
}

/* As many as there is room for, fewer at the end of the source, or -errno. */
static ssize_t fill(struct data *data, unsigned char *to, size_t size)
{
    struct job *job = &data->job;
    size_t filled = 0;
    while (filled < size) {
        ssize_t got = read(data->options.fd, to + filled, size - filled);
        if (got == 0)
            break;
        int error = 0;
        if (got < 0)
            error = errno == EINTR ? job_check(job) : -errno;
        if (error == -EAGAIN)
            error = job_poll(job, data->options.fd, POLLIN, -1);
        if (error < 0)
            return job_fail(job, ZC_SIDE_SOURCE, error);
        filled += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)filled;
}

/* Waits until so many writes are answered. */
static int settle(struct data *data, uint64_t until)
{
    while (data->done < until) {
        struct message *reply;
        int error = data_await(data, &reply);
        if (error == 0) {
            error = link_reply_error(reply);
            message_free(reply);
        }
        if (error < 0)
            return job_fail(&data->job, ZC_SIDE_SINK, error);
        stat_add(&data->job.stats.calls, 1);
        stat_add(&data->job.stats.bytes, data->sizes[data->done++ % DATA_DEPTH]);
    }
    return 0;
}
