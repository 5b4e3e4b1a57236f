#include "quantlab/bytes/avx512.h"
#include "sparse_gradient_int8/body.h"

namespace quantlab::sparse_gradient_int8 {

const Unit avx512vnni = unit_of();

}  // namespace quantlab::sparse_gradient_int8
