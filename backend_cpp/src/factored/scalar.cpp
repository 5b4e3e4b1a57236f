#include "quantlab/floats/scalar.h"

namespace quantlab::factored {
namespace {

using Floats = Single<float>;

}  // namespace
}  // namespace quantlab::factored

#include "factored/body.h"

namespace quantlab::factored {

const Unit scalar = {
    &expand_over,       nullptr,   &multiply_over, &multiply_channels_over, &max_pool_over,
    &average_pool_over, &add_over, &peak_of};

}  // namespace quantlab::factored
