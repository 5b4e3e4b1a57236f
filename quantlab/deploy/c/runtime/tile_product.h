/* Tiles of products: some rows of the result, of them some outputs. */
#ifndef QL_TILE_PRODUCT_H
#define QL_TILE_PRODUCT_H

#include "product.h"
#include "tile_made.h"

/* Some outputs of a layer: what multiplies them, and their weights. */
typedef struct {
  ql_product_function* function;
  const int8_t* weights;
} ql_slice;

/* Make a tile of a layer: `rows` rows of its result and `outputs` outputs at most; tiles go through
   all rows for the outputs of a slice, then for those of the next. size: bytes of an element of the
   input. Everything else as of ql_product_function. */
void ql_tile_product(const ql_slice* slices, const ql_product* layer, const void* input,
                     int32_t* sums, const ql_place* places, void* scratch, uint8_t size,
                     uint16_t number, uint16_t rows, uint16_t outputs);

#endif
