/* notices.h: the messages of an error queue on their way from a job's thread to its owner. */
#ifndef ZC_NOTICES_H
#define ZC_NOTICES_H

#include "zc.h"

struct job;
struct notices;

/* A queue that the job owns from now on. Returns 0, or -ENOMEM. */
int notices_open(struct job *job);
void notices_close(struct notices *notices);

/*
 * Adds one, and wakes the job's owner. A full queue is waited for: none is lost. Returns 0,
 * -ECANCELED, or -errno.
 */
int notices_put(struct job *job, const struct zc_notice *notice);

#endif
