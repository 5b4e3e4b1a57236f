/* Tiles of copies. */
#ifndef QL_TILE_COPY_H
#define QL_TILE_COPY_H

#include <stddef.h>
#include <stdint.h>

/* What is copied at least, in bytes. */
enum { QL_TILE_UNIT = 64 };

/* Copy units number * count, ... of an array of `size` bytes, `count` at most. */
void ql_tile_copy(void* to, const void* from, size_t size, uint16_t number, uint16_t count);

#endif
