/* Products whose windows lie in one piece while they are multiplied. */
#ifndef QL_GATHERED_H
#define QL_GATHERED_H

#include "product.h"

/* The bytes of one group of a window, [kernel rows][kernel columns][channels of the group]. words:
   memory for what they are made into. shared: what the sums of all outputs begin with. */
typedef struct {
  const uint8_t* bytes;
  size_t length;
  uint32_t* words;
  int32_t shared;
} ql_gathered;

/* Where the bytes of a group of a window lie: in the input, or copied to `to`, with the codes of
   the padding where the window is beyond the border. top, left: of the window. */
const uint8_t* ql_gather_window(const ql_product* layer, const uint8_t* input, int32_t top,
                                int32_t left, uint16_t group, uint8_t* to);

/* Make what all outputs of a group share. */
typedef void ql_prepare_function(const ql_product* layer, ql_gathered* x);

/* Add the products of `count` outputs from `first` on, which are of one group. sums: a row, which
   may be written behind these. */
typedef void ql_outputs_function(const ql_product* layer, const ql_gathered* x, size_t first,
                                 size_t count, int32_t* sums);

/* Call both for each window and group. scratch: `num_words` words, then a window of a group where
   it is no stretch of the input; other arguments as of ql_product_function. */
void ql_multiply_gathered(const ql_product* layer, const void* input, int32_t* sums,
                          const ql_place* places, void* scratch, size_t num_words, int is_backward,
                          ql_prepare_function* prepare, ql_outputs_function* add);

#endif
