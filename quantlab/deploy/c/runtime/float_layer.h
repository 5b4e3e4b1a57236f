/* Convolutions and fully connected layers of floats. */
#ifndef QL_FLOAT_LAYER_H
#define QL_FLOAT_LAYER_H

#include "floats.h"

typedef struct ql_float_layer ql_float_layer;

/* Sums of products for all outputs of one place, to[0], to[1], ..., without the bias. window:
   memory for a copy of what they are made of; NULL where none is needed. */
typedef void ql_float_place(const ql_float_layer* layer, const float* input, size_t row,
                            size_t column, float* window, float* to);

/* A fully connected layer is a convolution of one place, or of a column of them. Sums begin at zero
   and go through a window row by row, column by column, channel by channel. bias: NULL for none.
   function: of the sums and the bias, NULL for none.

   The result is the largest of each tile of places, which do not overlap; without pooling a tile is
   one place. window: how many numbers are copied of a window, 0 where they are read as they lie. */
struct ql_float_layer {
  uint16_t rows, columns, channels;
  uint16_t result_rows, result_columns, outputs;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
  uint16_t dilation_rows, dilation_columns;
  uint16_t top, left;
  uint16_t groups;
  uint8_t tile_rows, tile_columns;
  uint16_t tile_stride_rows, tile_stride_columns;
  uint16_t window;
  ql_float_place* place;
  const void* weights;
  const float* bias;
  ql_float_row* function;
  const float* constants;
};

/* [outputs][kernel rows][kernel columns][channels]: of four outputs or more, in one group. */
ql_float_place ql_float_dense;

/* [outputs][kernel rows][kernel columns][channels of a group]. */
ql_float_place ql_float_grouped;

/* Each output has one channel of its own: [kernel rows][kernel columns][channels]. */
ql_float_place ql_float_depthwise;

/* Weights of which most are zero. Of each output the others, `sizes` many, follow one another;
   `gaps`, bytes or 16 bits, say how far the number of each lies behind that of the one before, the
   first behind the window's begin, in a copy if there is one. */
typedef struct {
  const uint16_t* sizes;
  const void* gaps;
  const float* weights;
} ql_float_sparse;

ql_float_place ql_float_sparse_u8, ql_float_sparse_u16;

/* scratch: memory for the copy of a window and, if a tile has several places, the result of one.
   is_backward: from the last place to the first. */
void ql_float_run_layer(const ql_float_layer* layer, const float* input, float* scratch, float* to,
                        int is_backward);

/* The part of a window within the input: rows, one at least, and columns of its kernel. x: where it
   begins. first: the number of its first place among those of the kernel. */
typedef struct {
  const float* x;
  size_t first, rows, columns;
} ql_float_part;

ql_float_part ql_float_find_part(const ql_float_layer* layer, const float* input, size_t row,
                                 size_t column);

/* Return `count` channels of a window, [kernel rows][kernel columns][count]: as they lie in the
   input if the layer has no copies, else in `window`, with zeros beyond the border. input: at the
   first channel. */
const float* ql_float_window(const ql_float_layer* layer, const float* input, size_t row,
                             size_t column, size_t count, float* window);

#endif
