#include "quantlab/floats/avx512.h"

#include "sparse_gradient/body.h"

namespace quantlab::sparse_gradient {

const Unit<float> avx512 = unit_of<Floats>();
const Unit<float, Half> avx512_half = unit_of<Floats, Half>();

}  // namespace quantlab::sparse_gradient
