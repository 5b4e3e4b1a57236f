#include "quantlab/floats/avx2.h"

#include "planes/body.h"

namespace quantlab::planes {

const Unit<float> avx2 = unit_of<Floats>();

}  // namespace quantlab::planes
