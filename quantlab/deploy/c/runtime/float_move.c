#include "float_walk.h"

void ql_float_move(const uint32_t* x_places, const float* x, const uint32_t* to_places, float* to,
                   size_t count) {
  for (size_t i = 0; i < count; i++) to[to_places[i]] = x[x_places[i]];
}
