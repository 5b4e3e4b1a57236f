#include "quantlab/floats/avx512.h"

#include "sparse_product/body.h"

namespace quantlab::sparse_product {

const Unit<float> avx512 = unit_of<Floats>();
const Unit<float, Half> avx512_half = unit_of<Floats, Half>();

}  // namespace quantlab::sparse_product
