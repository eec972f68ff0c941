/* memory.h: a source made of memory, for benchmarks: noise, sent over and over, window by window.
 */
#ifndef ZC_MEMORY_H
#define ZC_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct job;
struct memory;

int memory_fd(const struct memory *memory);

/* All of it, where windows lie. */
struct iovec memory_all(const struct memory *memory);

/* Bytes that one window may have. */
uint64_t memory_window_max(const struct memory *memory);

/* Before a move: fills a new memory, and starts with a new window. Returns 0, or -errno. */
int memory_begin(struct memory *memory, struct job *job);

/*
 * Bytes left of the window that is sent; when it is used up, of the next one, of `size` bytes. The
 * descriptor's position is where they begin.
 */
uint64_t memory_window(struct memory *memory, uint64_t size);

/* Whether the next call of memory_window begins a new one. */
bool memory_is_between(const struct memory *memory);

/* Where they begin in memory. */
char *memory_data(const struct memory *memory);

/* So many of them were sent. */
void memory_took(struct memory *memory, uint64_t size);

#endif
