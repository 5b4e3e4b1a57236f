/* Tiles of walks: some steps along the first axis. */
#ifndef QL_TILE_WALK_H
#define QL_TILE_WALK_H

#include "walk.h"

/* Walk through places number * count, ... of the first axis, `count` at most. Constants are those
   of the last axis, or one for all if there is no other axis. */
void ql_tile_walk(const ql_walk* walk, const void* x, const void* other, void* to, uint16_t number,
                  uint16_t count);

#endif
