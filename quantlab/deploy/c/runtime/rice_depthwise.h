/* Layers each of whose outputs has one channel of its own, with weights in Rice codes. They are
   few, and are read once: all of them into memory, in the order of depthwise.inc. */
#ifndef QL_RICE_DEPTHWISE_H
#define QL_RICE_DEPTHWISE_H

#include "rice.h"

/* Read all weights of a layer, [kernel rows][kernel columns][channels], which are one row of
   entries. */
void ql_rice_unpack(const ql_product* layer, int8_t* weights);

/* scratch: memory for a window where any of its padding is not zero; behind that for the weights.
 */
ql_product_function ql_rice_depthwise_u8, ql_rice_depthwise_s8, ql_rice_depthwise_s16;

#endif
