/* close.h: closing descriptors that came from a peer. */
#ifndef ZC_CLOSE_H
#define ZC_CLOSE_H

/* Takes the descriptor over. Returns at once, whatever it is. */
void close_later(int fd);

#endif
