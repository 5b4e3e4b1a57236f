#include "quantlab/lanes/avx512.h"

#include "convolve_stages/body.h"

namespace quantlab::convolve_stages {

const Unit avx512vnni = {&convolve_rows};

}  // namespace quantlab::convolve_stages
