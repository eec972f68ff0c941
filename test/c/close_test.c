/* Descriptors whose close(2) waits for a peer. */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "check.h"
#include "tcp_pair.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void await_closed(int fd)
{
    while (is_open(fd))
        sched_yield();
}

static void memory_is_closed_at_once(void)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);
    CHECK(fd >= 0 && zc_close_later(fd) == 0 && !is_open(fd));
}

static void files_are_closed(void)
{
    for (int each = 0; each < 500; each++) {
        int fd = open("/dev/null", O_RDONLY);
        CHECK(fd >= 0 && zc_close_later(fd) == 0);
        await_closed(fd);
    }
}

/* It waits until the other end has taken all, or an hour; SIGALRM ends the test. */
static void a_socket_that_lingers_is_not_waited_for(void)
{
    static char bytes[1 << 16];
    struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    int near, far;
    tcp_pair(&near, &far);
    CHECK(setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    while (send(near, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    alarm(20);
    CHECK(zc_close_later(near) == 0);
    files_are_closed();
    alarm(0);
    close(far);
}

int main(void)
{
    memory_is_closed_at_once();
    files_are_closed();
    a_socket_that_lingers_is_not_waited_for();
    return 0;
}
