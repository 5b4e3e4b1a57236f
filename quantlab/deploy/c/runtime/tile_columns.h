/* Tiles of products that have some columns of their rows too. */
#ifndef QL_TILE_COLUMNS_H
#define QL_TILE_COLUMNS_H

#include "tile_product.h"

/* The same as ql_tile_product of tiles that go through the columns of a row first, `columns` at
   most. patch: memory for what a tile reads of the input. */
void ql_tile_columns(const ql_slice* slices, const ql_product* layer, const void* input,
                     int32_t* sums, const ql_place* places, void* scratch, void* patch,
                     ql_type type, uint16_t number, uint16_t rows, uint16_t outputs,
                     uint16_t columns);

#endif
