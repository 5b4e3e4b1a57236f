#include "tile_made.h"

#include <string.h>

#ifndef QL_TRACE
static void finish_whole(const ql_finish* finish, const int32_t* row, int32_t* sums,
                         const ql_place* places, size_t start, size_t first, size_t count) {
  if (sums != NULL) memcpy(sums + start + first, row, count * sizeof *row);
  if (finish->rows != NULL) {
    finish->rows(finish, row, places, start, first, count);
    return;
  }
  for (size_t i = 0; i < finish->num_made; i++) {
    const ql_make* one = &finish->made[i];
    if (one->pooling != NULL)
      one->pooling->function(one, start, first, row, count, places[i].to);
    else
      one->bytes(one->constants, first, row, count, (uint8_t*)places[i].to + start + first);
  }
}
#else
#define finish_whole ql_finish_row
#endif

void ql_finish_tile(const ql_finish* finish, const int32_t* row, const ql_place* places,
                    size_t start, size_t first, size_t count) {
  const ql_tile* tile = (const ql_tile*)(const void*)places;
  (void)finish;
  if (tile->own_outputs != tile->outputs || tile->own_columns != tile->columns) {
    const size_t place = start / tile->own_outputs, above = place / tile->own_columns;
    start = (above * tile->columns + place % tile->own_columns) * tile->outputs;
  }
  finish_whole(tile->finish, row, tile->sums, tile->places, tile->start + start,
               tile->first + first, count);
}

void ql_let_tile_finish(ql_finish* finish) {
  finish->made = NULL;
  finish->rows = ql_finish_tile;
  finish->num_made = 0;
#ifdef QL_TRACE
  finish->tensor = UINT16_MAX; /* None: it is traced as a part of the whole. */
#endif
}
