/* Products by sparse weights: what sparse.inc is made of. */
#ifndef QL_SPARSE_H
#define QL_SPARSE_H

#include "product.h"

/* How many neighbours in a row are made at once, so that each weight is read once for all of them,
   and of how many outputs. */
enum { QL_SPARSE_PLACES = 4, QL_SPARSE_ROW = 16 };

/* A patch is what the windows of QL_SPARSE_PLACES neighbours read, row by row. pitch: from one of
   its rows to the next. step: from one window to the next. reach: of a row of one window. Counted
   in elements. Of one place the patch is as wide. */
typedef struct {
  size_t pitch, step, reach;
} ql_patch_sizes;

ql_patch_sizes ql_sizes_of_patch(const ql_product* layer);

/* Copy the patch of the place at a row and column of the result, and of its next neighbours, with
   the codes of the padding where it lies beyond the border. */
void ql_fill_patch(const ql_product* layer, const void* input, ql_type type, uint16_t row,
                   uint16_t column, void* patch);

/* Weights as rows of nonzero ones, each with its column: see sparse_csr.inc. scratch: the memory of
   a patch; NULL where windows are of one row and all within the input, so that they need none. */
ql_product_function ql_csr_u8, ql_csr_s8, ql_csr_s16;

/* The same with a bit for each weight that says whether it is zero: see sparse_bitmap.inc. */
ql_product_function ql_bitmap_u8, ql_bitmap_s8, ql_bitmap_s16;

/* The same with gaps of four bits: see sparse_delta.inc. */
ql_product_function ql_delta4_u8, ql_delta4_s8, ql_delta4_s16;

/* The same with gaps and weights of four bits: see sparse_nibbles.inc. */
ql_product_function ql_nibbles_u8, ql_nibbles_s8, ql_nibbles_s16;

/* The same in Rice codes: see rice.h. */
ql_product_function ql_rice_u8, ql_rice_s8, ql_rice_s16;

/* The same as rows of blocks of four weights: see sparse_blocks.inc. */
ql_product_function ql_block4_u8, ql_block4_s8;

#endif
