#include "quantlab/lanes/avx2.h"

#include "convolve_stages/body.h"

namespace quantlab::convolve_stages {

const Unit avx2 = {&convolve_rows};

}  // namespace quantlab::convolve_stages
