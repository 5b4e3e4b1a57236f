#include "quantlab/floats/scalar.h"

#include "sparse_gradient/body.h"

namespace quantlab::sparse_gradient {

const Unit<float> scalar = unit_of<Single<float>>();
const Unit<double> scalar_double = unit_of<Single<double>>();
const Unit<float, Half> scalar_half = unit_of<Single<float>, Half>();

}  // namespace quantlab::sparse_gradient
