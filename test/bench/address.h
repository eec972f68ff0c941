/* address.h: ADDRESS as the programs here take it: a port of 127.0.0.1, or the path of a unix
 * socket. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* `join` is connect or bind. Exits where that fails. */
static int open_socket(const char *address, int (*join)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    struct sockaddr_in inet_address = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int is_unix = strchr(address, '/') != NULL, on = 1;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    inet_address.sin_port = htons((uint16_t)atoi(address));
    strncpy(unix_address.sun_path, address, sizeof(unix_address.sun_path) - 1);
    int error = is_unix ? join(fd, (struct sockaddr *)&unix_address, sizeof(unix_address))
                        : join(fd, (struct sockaddr *)&inet_address, sizeof(inet_address));
    if (error < 0) {
        perror(address);
        exit(1);
    }
    return fd;
}

#endif
