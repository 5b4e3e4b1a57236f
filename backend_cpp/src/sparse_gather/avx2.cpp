#include "quantlab/floats/avx2.h"

#include "sparse_gather/body.h"

namespace quantlab::sparse_gather {

const Unit<float> avx2 = unit_of<Floats>();

}  // namespace quantlab::sparse_gather
