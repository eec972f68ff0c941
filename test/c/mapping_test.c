/* Memory and eventfds that another process has its hands on. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../c/zc.h"
#include "check.h"

#define PAGE 4096u
#define SIZE (4 * PAGE)

static int new_file(void)
{
    int fd = memfd_create("theirs", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0);
    return fd;
}

static void what_is_written_can_be_read(void)
{
    static char wrote[SIZE], got[SIZE];
    int fd = new_file();
    int64_t address = zc_map(fd, PAGE, 3 * PAGE, ZC_REGION_READ | ZC_REGION_WRITE);
    CHECK(address > 0);
    memset(wrote, 'x', sizeof(wrote));
    CHECK(zc_mapped_write(address + 100, wrote, 3 * PAGE - 100) == 0);
    CHECK(pread(fd, got, SIZE, 0) == SIZE);
    CHECK(got[PAGE + 99] == 0 && memcmp(got + PAGE + 100, wrote, 3 * PAGE - 100) == 0);
    CHECK(pwrite(fd, "theirs", 6, 2 * PAGE) == 6);
    CHECK(zc_mapped_read(address, got, 3 * PAGE) == 0 && memcmp(got + PAGE, "theirs", 6) == 0);
    CHECK(zc_mapped_read(address, got, 0) == 0);
    CHECK(zc_unmap(address, 3 * PAGE) == 0);
    CHECK(zc_mapped_read(address, got, 1) == -EFAULT);
    close(fd);
}

static void a_file_that_becomes_shorter_is_efault(void)
{
    static char bytes[SIZE];
    int fd = new_file();
    int64_t address = zc_map(fd, 0, SIZE, ZC_REGION_READ | ZC_REGION_WRITE);
    CHECK(address > 0);
    CHECK(zc_mapped_write(address, bytes, SIZE) == 0);
    CHECK(ftruncate(fd, PAGE) == 0);
    CHECK(zc_mapped_read(address, bytes, SIZE) == -EFAULT);
    CHECK(zc_mapped_read(address + PAGE, bytes, 1) == -EFAULT);
    CHECK(zc_mapped_write(address, bytes, SIZE) == -EFAULT);
    CHECK(zc_mapped_write(address + SIZE - 1, bytes, 1) == -EFAULT);
    CHECK(zc_mapped_read(address, bytes, PAGE) == 0);
    CHECK(zc_unmap(address, SIZE) == 0);
    close(fd);
}

static void what_may_only_be_read_cannot_be_written(void)
{
    char byte = 'x';
    int fd = new_file();
    int64_t address = zc_map(fd, 0, SIZE, ZC_REGION_READ);
    CHECK(zc_mapped_read(address, &byte, 1) == 0 && byte == 0);
    CHECK(zc_mapped_write(address, &byte, 1) == -EFAULT);
    CHECK(zc_unmap(address, SIZE) == 0);
    close(fd);
}

static void a_mapping_that_cannot_be_is_refused(void)
{
    int fd = new_file();
    CHECK(zc_map(fd, 0, 0, ZC_REGION_READ) == -EINVAL);
    CHECK(zc_map(fd, 1, PAGE, ZC_REGION_READ) == -EINVAL);
    CHECK(zc_map(fd, UINT64_MAX - PAGE + 1, PAGE, ZC_REGION_READ) == -EINVAL);
    CHECK(zc_map(-1, 0, PAGE, ZC_REGION_READ) == -EBADF);
    close(fd);
}

static void shared_memory_keeps_its_size(void)
{
    int fd = zc_shared_memory_open(SIZE);
    CHECK(fd >= 0 && lseek(fd, 0, SEEK_END) == SIZE);
    CHECK(ftruncate(fd, PAGE) < 0 && errno == EPERM);
    CHECK(ftruncate(fd, 2 * SIZE) < 0 && errno == EPERM);
    CHECK(pwrite(fd, "x", 1, SIZE) < 0 && errno == EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    int64_t address = zc_map(fd, 0, SIZE, ZC_REGION_WRITE);
    CHECK(address > 0 && zc_mapped_write(address, "x", 1) == 0 && zc_unmap(address, SIZE) == 0);
    close(fd);
    CHECK(zc_shared_memory_open(UINT64_MAX) == -EINVAL);
}

int main(void)
{
    what_is_written_can_be_read();
    a_file_that_becomes_shorter_is_efault();
    what_may_only_be_read_cannot_be_written();
    a_mapping_that_cannot_be_is_refused();
    shared_memory_keeps_its_size();
    return 0;
}
