/* Eventfds that a peer has given. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "check.h"

static uint64_t read_all(int fd)
{
    uint64_t got;
    CHECK(read(fd, &got, sizeof(got)) == sizeof(got));
    return got;
}

static void each_signal_is_counted(void)
{
    int fd = zc_event_open();
    for (int each = 0; each < 1000; each++)
        CHECK(zc_event_signal(fd) == 0);
    CHECK(read_all(fd) == 1000);
    close(fd);
}

/* More than write(2) can ever make of it: so that was not waited for. SIGALRM ends the test. */
static void a_full_one_is_not_waited_for(void)
{
    int fd = zc_event_open();
    uint64_t most = UINT64_MAX - 1;
    CHECK(write(fd, &most, sizeof(most)) == sizeof(most));
    alarm(20);
    CHECK(zc_event_signal(fd) == 0);
    CHECK(zc_event_signal(fd) == 0);
    alarm(0);
    CHECK(read_all(fd) == UINT64_MAX);
    close(fd);
}

/* As it was opened, read(2) would wait. SIGALRM ends the test. */
static void what_another_took_is_not_waited_for(void)
{
    int fd = zc_event_open();
    uint64_t got = 0;
    CHECK(zc_event_signal(fd) == 0 && zc_event_signal(fd) == 0);
    CHECK(zc_event_take(fd, &got) == 0 && got == 2);
    alarm(20);
    CHECK(zc_event_take(fd, &got) == -EAGAIN);
    alarm(0);
    close(fd);
    CHECK(zc_event_take(fd, &got) == -EBADF);
}

static void what_is_none_is_refused(void)
{
    int fd = open("/dev/null", O_RDWR);
    CHECK(zc_event_signal(fd) == -EINVAL);
    close(fd);
    CHECK(zc_event_signal(fd) == -EBADF);
}

int main(void)
{
    each_signal_is_counted();
    a_full_one_is_not_waited_for();
    what_another_took_is_not_waited_for();
    what_is_none_is_refused();
    return 0;
}
