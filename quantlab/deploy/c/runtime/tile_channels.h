/* Tiles of poolings: some channels of the result. */
#ifndef QL_TILE_CHANNELS_H
#define QL_TILE_CHANNELS_H

#include "pool.h"
#include "tile_made.h"

/* Make channels number * count, ... of ql_sum_pool's result, `count` at most. patch: memory for as
   many channels of the input. size: bytes of an element. */
void ql_tile_channels(const ql_pool* pool, const void* x, int32_t* sums, const ql_place* places,
                      void* patch, uint8_t size, uint16_t number, uint16_t count);

#endif
