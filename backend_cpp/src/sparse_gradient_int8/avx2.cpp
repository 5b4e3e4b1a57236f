#include "quantlab/bytes/avx2.h"

#include "sparse_gradient_int8/body.h"

namespace quantlab::sparse_gradient_int8 {

const Unit avx2 = unit_of();

}  // namespace quantlab::sparse_gradient_int8
