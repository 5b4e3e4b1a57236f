#include "quantlab/lanes/scalar.h"

#include "convolve_stages/body.h"

namespace quantlab::convolve_stages {

const Unit scalar = {&convolve_rows};

}  // namespace quantlab::convolve_stages
