#include "quantlab/floats/avx512.h"

#include "planes/body.h"

namespace quantlab::planes {

const Unit<float> avx512 = unit_of<Floats>();
const Unit<float, Half> avx512_half = unit_of<Floats, Half>();

}  // namespace quantlab::planes
