/* tcp_pair.h: two ends of a TCP connection over loopback. */
#ifndef TCP_PAIR_H
#define TCP_PAIR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static void tcp_pair(int *connected, int *accepted)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&name, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&name, &length) == 0);
    *connected = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(*connected, (struct sockaddr *)&name, length) == 0);
    *accepted = accept(listener, NULL, NULL);
    CHECK(*accepted >= 0);
    close(listener);
}

#endif
