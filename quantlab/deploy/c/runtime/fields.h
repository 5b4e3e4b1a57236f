/* Products of bytes and of weights of few bits, two outputs in a multiplication. */
#ifndef QL_FIELDS_H
#define QL_FIELDS_H

#include "gathered.h"

/* A field is a weight of b bits made positive: (weight + 1) / 2 where b is 1, else weight +
   2^(b-1). A word has b bits of two outputs for each of 16 / b inputs: those of the first output
   are its lower 16 bits, the inputs from the lowest bits on. With a mask both fields of an input
   are factors of one product, and the sums of both outputs are halves of one word as long as they
   fit into 16 bits. The weights of a layer begin with two words, for how many inputs they do, and
   the mask; then, group by group, the words of eight outputs, four for each 16 / b inputs, and of
   the outputs that are left two by two. Fields of inputs and outputs that are not there are 0. */

/* QL_FIELD_BITS is b. */
ql_product_function ql_field_product_1_u8, ql_field_product_1_s8;
ql_product_function ql_field_product_2_u8, ql_field_product_2_s8;
ql_product_function ql_field_product_4_u8, ql_field_product_4_s8;

#endif
