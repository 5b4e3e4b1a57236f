#include "quantlab/floats/avx2.h"

#include "sparse_gradient/body.h"

namespace quantlab::sparse_gradient {

const Unit<float> avx2 = unit_of<Floats>();
const Unit<float, Half> avx2_half = unit_of<Floats, Half>();

}  // namespace quantlab::sparse_gradient
