#include "quantlab/bytes/avx2.h"

#include "sparse_product_int8/body.h"

namespace quantlab::sparse_product_int8 {

const Unit avx2 = unit_of();

}  // namespace quantlab::sparse_product_int8
