/* job.c: threads that can be waited for on an eventfd, and cancelled in any system call. */
#include "job.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "notices.h"

/* Makes a blocking call return EINTR. Real-time: no runtime or library claims this one. */
#define CANCEL_SIGNAL (SIGRTMIN + 7)

/* What the kernel may need to wake a thread: timer slack, and a processor that has to wake first.
 */
#define AWAKE_NS 100000

static void *job_main(void *argument);
static void add_one(int event_fd);
static int poll_once(struct job *job, int fd, short events, int64_t deadline);
static int poll_with_wake(struct job *job, struct pollfd *fds, nfds_t count, int64_t deadline);
static void forget_wakes(struct job *job);
static int install_cancel_signal(void);

int64_t job_start(struct job *job, int event_fd, int (*run)(struct job *job))
{
    int error = install_cancel_signal();
    if (error < 0)
        return error;
    job->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->wake_fd < 0)
        return -errno;
    job->event_fd = event_fd;
    job->run = run;

    /* The thread inherits this mask: every signal but ours is for the process's other threads. */
    sigset_t all_but_ours, before;
    sigfillset(&all_but_ours);
    sigdelset(&all_but_ours, CANCEL_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &all_but_ours, &before);
    error = pthread_create(&job->thread, NULL, job_main, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        close(job->wake_fd);
        return -error;
    }
    return (int64_t)(intptr_t)job;
}

static void *job_main(void *argument)
{
    struct job *job = argument;
    job->stats.began_ns = job_now();
    int end = job->run(job);
    job->stats.ended_ns = job_now();
    if (end < 0)
        stat_set(&job->stats.error, (uint64_t)-end);
    else
        stat_set(&job->stats.end, (uint64_t)end);
    int event_fd = job->event_fd;
    __atomic_store_n(&job->stats.state, ZC_STATE_ENDED, __ATOMIC_RELEASE);
    add_one(event_fd); /* the job may be freed by now */
    return NULL;
}

void job_wake_owner(struct job *job)
{
    add_one(job->event_fd);
}

static void add_one(int event_fd)
{
    uint64_t one = 1;
    /* Where there is no room for it, what is there wakes the reader in any case. */
    ssize_t written = write(event_fd, &one, sizeof(one));
    (void)written;
}

int zc_job_cancel(int64_t handle)
{
    struct job *job = (struct job *)(intptr_t)handle;
    if (__atomic_load_n(&job->stats.state, __ATOMIC_ACQUIRE) == ZC_STATE_ENDED)
        return 0;
    atomic_store(&job->cancelled, 1);
    add_one(job->wake_fd);
    pthread_kill(job->thread, CANCEL_SIGNAL);
    return 0;
}

int zc_job_free(int64_t handle)
{
    struct job *job = (struct job *)(intptr_t)handle;
    if (__atomic_load_n(&job->stats.state, __ATOMIC_ACQUIRE) != ZC_STATE_ENDED)
        return -EBUSY;
    pthread_join(job->thread, NULL);
    close(job->wake_fd);
    if (job->release)
        job->release(job);
    notices_close(job->notices);
    free(job);
    return 0;
}

/* A thread inherits this from the one that starts it: sched_setaffinity(2). */
int zc_processor_bind(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (processor < -1 || processor >= CPU_SETSIZE)
        return -EINVAL;
    for (int each = 0; each < CPU_SETSIZE; each++)
        if (processor == -1 || processor == each)
            CPU_SET((size_t)each, &set);
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int job_check(const struct job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed) ? -ECANCELED : 0;
}

int job_poll(struct job *job, int fd, short events, int64_t timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : job_now() + timeout_ms * 1000000;
    int ready;
    do {
        ready = poll_once(job, fd, events, deadline);
    } while (ready == 0 && (deadline == INT64_MAX || job_now() < deadline));
    return ready;
}

int job_poll_both(struct job *job, struct pollfd fds[2])
{
    struct pollfd all[3] = {{.fd = job->wake_fd, .events = POLLIN}, fds[0], fds[1]};
    int ready;
    do {
        ready = poll_with_wake(job, all, 3, INT64_MAX);
    } while (ready == 0);
    for (int each = 0; each < 2; each++)
        fds[each].revents = all[each + 1].revents;
    return ready < 0 ? ready : 0;
}

/* A sleeping thread is late by what the kernel needs to wake it: the last of it is spent awake. */
int job_wait_until(struct job *job, int64_t deadline_ns)
{
    int ready = 0;
    while (ready == 0 && deadline_ns - job_now() > AWAKE_NS)
        ready = poll_once(job, -1, 0, deadline_ns - AWAKE_NS);
    while (ready == 0 && job_now() < deadline_ns)
        ready = job_check(job);
    return ready < 0 ? ready : 0;
}

int job_poll_or_wake(struct job *job, int fd, short events)
{
    return poll_once(job, fd, events, INT64_MAX);
}

void job_wake(struct job *job)
{
    add_one(job->wake_fd);
}

/* Returns revents, 0 when the deadline is reached or something woke it, -ECANCELED, or -errno. */
static int poll_once(struct job *job, int fd, short events, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = job->wake_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int ready = poll_with_wake(job, fds, 2, deadline);
    if (ready <= 0)
        return ready;
    return fds[1].revents & POLLNVAL ? -EBADF : fds[1].revents;
}

/* The first of `fds` is the job's wake_fd. Returns how many others have news; else as poll_once. */
static int poll_with_wake(struct job *job, struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct timespec left;
    if (deadline != INT64_MAX) {
        int64_t ns = deadline - job_now();
        if (ns < 0)
            ns = 0;
        left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    int ready = ppoll(fds, count, deadline != INT64_MAX ? &left : NULL, NULL);
    if (ready < 0 && errno != EINTR)
        return -errno;
    if (ready > 0 && fds[0].revents) {
        forget_wakes(job);
        ready--;
    }
    if (job_check(job))
        return -ECANCELED;
    return ready < 0 ? 0 : ready;
}

static void forget_wakes(struct job *job)
{
    uint64_t wakes;
    ssize_t got = read(job->wake_fd, &wakes, sizeof(wakes)); /* never blocks */
    (void)got;
}

int64_t job_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void ignore_signal(int signal)
{
    (void)signal;
}

/* Without SA_RESTART: that is what it is for. Setting it again changes nothing. */
static int install_cancel_signal(void)
{
    struct sigaction action = {.sa_handler = ignore_signal};
    return sigaction(CANCEL_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}
