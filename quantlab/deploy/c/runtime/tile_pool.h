/* Tiles of poolings: some rows of the result. */
#ifndef QL_TILE_POOL_H
#define QL_TILE_POOL_H

#include "pool.h"
#include "tile_made.h"

/* Let a pooling make `count` rows of its result at most, from `row` on; return how many rows of the
   input lie before those that are left to it. Not of adaptive windows. */
size_t ql_begin_pool(ql_pool* pool, size_t row, size_t count);

/* Make rows number * count, ... of the result, `count` at most. size: bytes of an element. */
void ql_tile_max_pool(const ql_pool* pool, const void* x, void* to, uint8_t size, uint16_t number,
                      uint16_t count);
void ql_tile_sum_pool(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places,
                      uint8_t size, uint16_t number, uint16_t count);

#endif
