#include "quantlab/lanes/avx512.h"

#include "convolve/body.h"

namespace quantlab::convolve {

const Unit avx512 = {Lanes::kMaxBlocks, &convolve_over, &depthwise_over, &peak_of};

}  // namespace quantlab::convolve
