#include "quantlab/floats/avx512.h"

#include "sparse_product/body.h"

namespace quantlab::sparse_product {

const Unit<float> avx512 = unit_of<Floats>();

}  // namespace quantlab::sparse_product
