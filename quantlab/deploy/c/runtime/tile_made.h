/* What is made of a tile of a layer's sums. */
#ifndef QL_TILE_MADE_H
#define QL_TILE_MADE_H

#include "made.h"

/* finish, places, sums, columns, outputs: of the whole layer. start: of the first place of a tile.
   first: of its outputs. A tile has `own_columns` places a row and `own_outputs` sums a place.
   as_place: stands where the places of a layer stand. */
typedef struct {
  ql_place as_place;
  const ql_finish* finish;
  const ql_place* places;
  int32_t* sums;
  size_t start, first;
  uint16_t columns, outputs;
  uint16_t own_columns, own_outputs;
} ql_tile;

/* Finish a row of a tile's sums as one of the whole layer. places: as_place of a ql_tile. */
ql_rows_function ql_finish_tile;

/* Let what is made of a tile's sums be made by ql_finish_tile, with none of these stored before. */
void ql_let_tile_finish(ql_finish* finish);

#endif
