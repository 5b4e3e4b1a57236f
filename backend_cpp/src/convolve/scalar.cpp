#include "quantlab/lanes/scalar.h"

#include "convolve/body.h"

namespace quantlab::convolve {

const Unit scalar = {Lanes::kMaxBlocks, &convolve_over, &depthwise_over, &peak_of};

}  // namespace quantlab::convolve
