/* Convolutions and fully connected layers, with what is made of their sums. */
#ifndef QL_PRODUCT_H
#define QL_PRODUCT_H

#include "made.h"

/* weights: [outputs][kernel rows][kernel columns][channels / groups]. padding: of each channel,
   NULL for zeros. A fully connected layer is a convolution of one place, or of a column of them. */
typedef struct {
  QL_TENSOR_FIELD
  uint16_t rows, columns, channels;
  uint16_t result_rows, result_columns, outputs;
  uint16_t kernel_rows, kernel_columns;
  uint16_t stride_rows, stride_columns;
  uint16_t dilation_rows, dilation_columns;
  uint16_t top, left;
  uint16_t groups;
  const int8_t* weights;
  const int32_t* bias;
  const int16_t* padding;
  const ql_make* made;
  uint8_t num_made;
} ql_product;

/* sums: where they are stored, NULL where nothing reads them. */
typedef void ql_product_function(const ql_product* layer, const void* input, int32_t* sums,
                                 const ql_place* places);

ql_product_function ql_product_u8, ql_product_s8, ql_product_s16;

#endif
