#include "pool/body.h"

namespace quantlab::pool {

const Unit avx512 = {&max_over, &sum_over};

}  // namespace quantlab::pool
