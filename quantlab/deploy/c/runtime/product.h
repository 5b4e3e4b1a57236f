/* Convolutions and fully connected layers, with what is made of their sums. */
#ifndef QL_PRODUCT_H
#define QL_PRODUCT_H

#include "made.h"

/* A fully connected layer is a convolution of one place, or of a column of them. padding: of each
   channel, none for zeros. bias: NULL for zeros, or where it is part of what is made of the sums,
   and then left_out. Sums of four outputs are made at once: see product.inc for the order of
   weights. is_gathered: whether every window is copied into scratch, so that it is one span.
   is_of_places: whether each window is the place that it makes. */
typedef struct {
  uint16_t rows, columns, channels;
  uint16_t result_rows, result_columns, outputs;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
  uint16_t dilation_rows, dilation_columns;
  uint16_t top, left;
  uint16_t groups;
  uint8_t is_gathered, is_of_places;
  const int8_t* weights;
  const int32_t* bias;
  QL_CONSTANTS(int16_t) padding;
  ql_finish finish;
} ql_product;

/* sums: where they are stored, NULL where nothing reads them. scratch: of the size of a window, for
   those at the border; NULL where they can be taken in parts: where zeros are beyond it and the
   channels come in fours, or each place of the kernel is a span. is_backward: from the last place
   to the first. */
typedef void ql_product_function(const ql_product* layer, const void* input, int32_t* sums,
                                 const ql_place* places, void* scratch, int is_backward);

ql_product_function ql_product_u8, ql_product_s8, ql_product_s16;

/* The same by pairs of weights, of one group: see paired.inc. A part of a window has whole eights
   of channels. scratch: of two windows where all are copied. */
ql_product_function ql_paired_u8, ql_paired_s8, ql_paired_places_u8, ql_paired_places_s8;

/* The same where each window is one place, and the places of the result are those of the input. */
ql_product_function ql_places_u8, ql_places_s8, ql_places_s16;

/* The same where each output has one channel of its own, with weights [kernel rows][kernel
   columns][channels]. */
ql_product_function ql_depthwise_u8, ql_depthwise_s8, ql_depthwise_s16;

/* The part of a window that lies within the input: rows and columns of the kernel. */
typedef struct {
  int32_t top, left;
  uint16_t first_row, last_row;
  uint16_t first_column, last_column;
} ql_window;

/* Copy a window into scratch, [kernel rows][kernel columns][channels], with the codes of the
   padding where it lies beyond the border. */
void ql_fill_window(const ql_product* layer, const ql_window* window, const void* input,
                    ql_type type, void* scratch);

/* Where a window lies: x is the first channel of its first row and column that are there, from
   which the others lie in steps. */
typedef struct {
  const void* x;
  size_t row_step, column_step;
  uint16_t first_row, last_row;
  uint16_t first_column, last_column;
} ql_numbers;

/* Find a window: in the input, or in scratch if it is not whole and there is any. */
ql_numbers ql_find_window(const ql_product* layer, const void* input, ql_type type, uint16_t row,
                          uint16_t column, void* scratch);

#endif
