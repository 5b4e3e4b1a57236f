#include "quantlab/floats/scalar.h"

#include "sparse_gather/body.h"

namespace quantlab::sparse_gather {

const Unit<float> scalar = unit_of<Single<float>>();
const Unit<double> scalar_double = unit_of<Single<double>>();

}  // namespace quantlab::sparse_gather
