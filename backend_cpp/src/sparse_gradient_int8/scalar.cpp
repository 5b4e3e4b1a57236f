#include "quantlab/bytes/scalar.h"

#include "sparse_gradient_int8/body.h"

namespace quantlab::sparse_gradient_int8 {

const Unit scalar = unit_of();

}  // namespace quantlab::sparse_gradient_int8
