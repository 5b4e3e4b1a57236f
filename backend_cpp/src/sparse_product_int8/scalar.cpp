#include "quantlab/bytes/scalar.h"

#include "sparse_product_int8/body.h"

namespace quantlab::sparse_product_int8 {

const Unit scalar = unit_of();

}  // namespace quantlab::sparse_product_int8
