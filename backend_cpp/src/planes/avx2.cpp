#include "quantlab/floats/avx2.h"

#include "planes/body.h"

namespace quantlab::planes {

const Unit<float> avx2 = unit_of<Floats>();
const Unit<float, Half> avx2_half = unit_of<Floats, Half>();

}  // namespace quantlab::planes
