/* link_data.c: jobs that call over a link: their calls under way, and the replies. */
#include "link_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void data_release(struct job *job);
static void take_reply(struct caller *caller, struct message *reply);

int64_t data_start(const struct zc_link_data *options, int (*run)(struct job *job))
{
    if (options->size == 0 || options->size > UINT32_MAX - sizeof(struct data_head))
        return -EINVAL;
    struct data *data = calloc(1, sizeof(*data));
    if (!data)
        return -ENOMEM;
    data->options = *options;
    data->link = link_hold(link_of(options->link));
    data->caller.take = take_reply;
    memset(data->pipes, -1, sizeof(data->pipes));
    data->job.release = data_release;
    int64_t handle = job_start(&data->job, options->event_fd, run);
    if (handle < 0) {
        data_release(&data->job);
        free(data);
    }
    return handle;
}

static void data_release(struct job *job)
{
    struct data *data = (struct data *)job;
    for (int each = 0; each < DATA_DEPTH; each++) {
        message_free(data->replies[each]);
        for (int end = 0; end < 2; end++)
            if (data->pipes[each][end] >= 0)
                close(data->pipes[each][end]);
    }
    link_release(data->link);
}

/* On the link's thread, its lock held. */
static void take_reply(struct caller *caller, struct message *reply)
{
    struct data *data = (struct data *)((char *)caller - offsetof(struct data, caller));
    if (!reply) {
        data->has_link_ended = true;
    } else {
        int slot = message_header(reply).id - caller->first_id;
        if (!data->awaits[slot]) {
            message_free(reply); /* no honest device sends it */
            return;
        }
        data->awaits[slot] = false;
        data->replies[slot] = reply;
    }
    job_wake(&data->job);
}

uint16_t data_begin(struct data *data, uint32_t size)
{
    uint64_t slot = data->begun++ % DATA_DEPTH;
    data->awaits[slot] = true;
    data->sizes[slot] = size;
    data->asked += size;
    return (uint16_t)(data->caller.first_id + slot);
}

int data_await(struct data *data, struct message **reply)
{
    for (;;) {
        pthread_mutex_lock(&data->link->lock);
        struct message **place = &data->replies[data->done % DATA_DEPTH];
        *reply = *place;
        *place = NULL;
        bool has_ended = data->has_link_ended;
        pthread_mutex_unlock(&data->link->lock);
        if (*reply)
            return 0;
        if (has_ended)
            return -EPIPE;
        int error = job_poll_or_wake(&data->job, -1, 0);
        if (error < 0)
            return error;
    }
}
