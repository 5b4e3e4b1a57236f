#include "rows.h"

void ql_threshold_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                      int32_t* y, size_t count) {
  const ql_threshold* rule = constants;
  (void)other;
  for (size_t i = 0; i < count; i++) {
    const size_t channel = first + i;
    const int64_t* thresholds =
        rule->thresholds.at + channel * rule->thresholds.step * rule->levels;
    const int64_t number = (int64_t)rule->sign.at[channel * rule->sign.step] * x[i];
    int32_t code = rule->low;
    for (uint16_t level = 0; level < rule->levels && number >= thresholds[level]; level++)
      code += rule->step;
    y[i] = code;
  }
}
