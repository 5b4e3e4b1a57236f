/* Convolutions and fully connected layers of floats. */
#ifndef QL_FLOAT_LAYER_H
#define QL_FLOAT_LAYER_H

#include "floats.h"

typedef struct ql_float_layer ql_float_layer;

/* Sums of products for all outputs of one place, to[0], to[1], ..., without the bias. window: of
   the size of a window; NULL where none is copied. */
typedef void ql_float_place(const ql_float_layer* layer, const float* input, uint16_t row,
                            uint16_t column, float* window, float* to);

/* A fully connected layer is a convolution of one place, or of a column of them. Sums begin at zero
   and go through a window row by row, column by column, channel by channel. bias: NULL for none.
   function: of the sums and the bias, NULL for none. */
struct ql_float_layer {
  uint16_t rows, columns, channels;
  uint16_t result_rows, result_columns, outputs;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
  uint16_t dilation_rows, dilation_columns;
  uint16_t top, left;
  uint16_t groups;
  ql_float_place* place;
  const float* weights;
  const uint16_t* sizes; /* of sparse weights, as are gaps */
  const void* gaps;
  const float* bias;
  ql_float_row* function;
  const float* constants;
};

/* Weights of four outputs of a group at a time, then of one: [kernel rows][kernel columns][channels
   of a group][outputs]. */
ql_float_place ql_float_dense;

/* Each output has one channel of its own: [kernel rows][kernel columns][channels]. */
ql_float_place ql_float_depthwise;

/* The weights of an output, `sizes` many, one after the other; `gaps` are how far the number of
   each lies behind that of the one before, the first behind the window's begin. That is in the
   input if there is no padding, else in a copy of the window. */
ql_float_place ql_float_sparse_u8, ql_float_sparse_u16;

/* The largest of each rows x columns places of a layer's result, which is not stored. */
typedef struct {
  const ql_float_layer* layer;
  uint16_t result_rows, result_columns;
  uint16_t rows, columns;
  uint16_t stride_rows, stride_columns;
} ql_float_tile;

/* The result of one place. */
void ql_float_run_place(const ql_float_layer* layer, const float* input, uint16_t row,
                        uint16_t column, float* window, float* to);
/* is_backward: from the last place to the first. */
void ql_float_run_layer(const ql_float_layer* layer, const float* input, float* window, float* to,
                        int is_backward);
/* place: memory for the result of one. */
void ql_float_run_tiles(const ql_float_tile* tile, const float* input, float* window, float* place,
                        float* to, int is_backward);

/* The part of a window that lies within the input: rows and columns of the kernel. */
typedef struct {
  int32_t top, left;
  uint16_t first_row, last_row;
  uint16_t first_column, last_column;
} ql_float_window;

ql_float_window ql_float_find_window(const ql_float_layer* layer, uint16_t row, uint16_t column);
/* Copy a window, with zeros beyond the border: [kernel rows][kernel columns][channels]. */
void ql_float_copy_window(const ql_float_layer* layer, const float* input, uint16_t row,
                          uint16_t column, float* window);

#endif
