/*
 * close.c: closing descriptors that came from a peer. close(2) of a socket that lingers, or of a
 * file on a file system that a process serves, takes as long as the peer likes: threads of their
 * own wait.
 */
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "close.h"
#include "zc.h"

/* As many may be held up at once; what comes then waits. */
#define THREADS_MAX 64

struct closing {
    struct closing *next;
    int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct closing *pending;
static unsigned threads;

static bool closes_at_once(int fd);
static int start_thread(void);
static void *close_pending(void *unused);
static struct closing *next_pending(void);

void close_later(int fd)
{
    struct closing *closing = closes_at_once(fd) ? NULL : malloc(sizeof(*closing));
    if (!closing) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&lock);
    if (threads < THREADS_MAX && start_thread() == 0)
        threads++;
    bool is_taken = threads > 0;
    if (is_taken) {
        *closing = (struct closing){.next = pending, .fd = fd};
        pending = closing;
    }
    pthread_mutex_unlock(&lock);
    if (!is_taken) {
        close(fd);
        free(closing);
    }
}

int zc_close_later(int fd)
{
    close_later(fd);
    return 0;
}

/* Memory and what has no file system behind it: what peers send. */
static bool closes_at_once(int fd)
{
    struct statfs system;
    if (fstatfs(fd, &system) < 0)
        return true;
    return system.f_type == TMPFS_MAGIC || system.f_type == HUGETLBFS_MAGIC ||
           system.f_type == ANON_INODE_FS_MAGIC;
}

/* 0, or an errno. Signals are for the process's other threads. */
static int start_thread(void)
{
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &detached, close_pending, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return error;
}

static void *close_pending(void *unused)
{
    (void)unused;
    struct closing *closing;
    while ((closing = next_pending())) {
        close(closing->fd);
        free(closing);
    }
    return NULL;
}

/* NULL: there is none, and one thread less. */
static struct closing *next_pending(void)
{
    pthread_mutex_lock(&lock);
    struct closing *closing = pending;
    if (closing)
        pending = closing->next;
    else
        threads--;
    pthread_mutex_unlock(&lock);
    return closing;
}
