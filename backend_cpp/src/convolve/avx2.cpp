#include "quantlab/lanes/avx2.h"

#include "convolve/body.h"

namespace quantlab::convolve {

const Unit avx2 = {Lanes::kMaxBlocks, &convolve_over, &depthwise_over, &peak_of};

}  // namespace quantlab::convolve
