#include "quantlab/floats/avx2.h"

#include "factored/body.h"

namespace quantlab::factored {

const Unit avx2 = {
    &expand_over,       nullptr,   &multiply_over, &multiply_channels_over, &max_pool_over,
    &average_pool_over, &add_over, &peak_of};

}  // namespace quantlab::factored
