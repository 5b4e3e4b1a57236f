#include "quantlab/floats/scalar.h"

#include "planes/body.h"

namespace quantlab::planes {

const Unit<float> scalar = unit_of<Single<float>>();
const Unit<double> scalar_double = unit_of<Single<double>>();
const Unit<float, Half> scalar_half = unit_of<Single<float>, Half>();

}  // namespace quantlab::planes
