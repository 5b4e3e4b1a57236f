#include "quantlab/floats/scalar.h"

#include "planes/body.h"

namespace quantlab::planes {

const Unit<float> scalar = unit_of<Single<float>>();
const Unit<double> scalar_double = unit_of<Single<double>>();

}  // namespace quantlab::planes
