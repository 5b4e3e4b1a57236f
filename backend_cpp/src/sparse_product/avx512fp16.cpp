#include "quantlab/floats/avx512fp16.h"

#include "sparse_product/body.h"

namespace quantlab::sparse_product {

const Unit<float, Half> avx512fp16 = unit_of<Halves, Half>();

}  // namespace quantlab::sparse_product
