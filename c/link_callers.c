/* link_callers.c: who calls over a link from C, each with message ids of its own. */
#include <errno.h>

#include "link.h"

static int free_ids(const struct link *link, uint16_t ids, uint16_t *first);
static const struct caller *caller_within(const struct link *link, uint32_t first, uint32_t end);
static bool has_id(const struct caller *caller, uint16_t id);

int link_add_caller(struct link *link, struct caller *caller, uint16_t ids)
{
    pthread_mutex_lock(&link->lock);
    int error = link->job ? free_ids(link, ids, &caller->first_id) : -EPIPE;
    if (error == 0) {
        caller->ids = ids;
        caller->waiting = 0;
        caller->next = link->callers;
        link->callers = caller;
        link->next_id = caller->first_id + (uint32_t)ids;
    }
    pthread_mutex_unlock(&link->lock);
    return error;
}

/* The next that no caller has; after the last one they begin anew. 0, or -EBUSY. */
static int free_ids(const struct link *link, uint16_t ids, uint16_t *first)
{
    uint32_t next = link->next_id;
    bool is_anew = false;
    for (;;) {
        if (next < CALLER_ID_MIN || next + ids > UINT16_MAX + 1u) {
            if (is_anew)
                return -EBUSY;
            is_anew = true;
            next = CALLER_ID_MIN;
        }
        const struct caller *other = caller_within(link, next, next + ids);
        if (!other) {
            *first = (uint16_t)next;
            return 0;
        }
        next = other->first_id + (uint32_t)other->ids;
    }
}

static const struct caller *caller_within(const struct link *link, uint32_t first, uint32_t end)
{
    for (const struct caller *each = link->callers; each; each = each->next)
        if (each->first_id < end && each->first_id + (uint32_t)each->ids > first)
            return each;
    return NULL;
}

void link_remove_caller(struct link *link, struct caller *caller)
{
    pthread_mutex_lock(&link->lock);
    for (struct caller **each = &link->callers; *each; each = &(*each)->next) {
        if (*each != caller)
            continue;
        *each = caller->next;
        break;
    }
    link_disown(link, caller);
    pthread_mutex_unlock(&link->lock);
}

bool link_offer_to_callers(struct link *link, struct message *message)
{
    struct caller *caller = link_caller_of(link, message);
    if (!caller)
        return false;
    if (caller->waiting < caller->ids)
        caller->take(caller, message);
    else
        message_free(message);
    return true;
}

struct caller *link_caller_of(const struct link *link, const struct message *message)
{
    struct header header = message_header(message);
    if ((header.flags & HEADER_TYPE) != HEADER_REPLY || message->flags)
        return NULL;
    for (struct caller *each = link->callers; each; each = each->next)
        if (has_id(each, header.id))
            return each;
    return NULL;
}

static bool has_id(const struct caller *caller, uint16_t id)
{
    return id >= caller->first_id && id - caller->first_id < caller->ids;
}

void link_end_callers(struct link *link)
{
    for (struct caller *each = link->callers; each; each = each->next)
        each->take(each, NULL);
}

int link_reply_error(const struct message *reply)
{
    struct header header = message_header(reply);
    if (!(header.flags & HEADER_ERROR))
        return 0;
    return header.error > 0 && header.error < 4096 ? -(int)header.error : -EINVAL;
}
