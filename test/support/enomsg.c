/*
 * Preloaded (LD_PRELOAD, ld.so(8)): read(2) of the file that $ENOMSG_FILE names says ENOMSG at its
 * end, as the drivers of devices in PRE_COPY do.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t (*next)(int, void *, size_t) =
        (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t got = next(fd, buffer, size);
    const char *path = getenv("ENOMSG_FILE");
    struct stat file, named;
    if (got != 0 || !path || fstat(fd, &file) < 0 || stat(path, &named) < 0 ||
        file.st_ino != named.st_ino || file.st_dev != named.st_dev)
        return got;
    errno = ENOMSG;
    return -1;
}
