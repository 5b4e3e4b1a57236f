#include "normalize/body.h"

namespace quantlab::normalize {

const Unit avx512 = {&moments_over, &forward_over, &backward_over, &encode_over};

}  // namespace quantlab::normalize
