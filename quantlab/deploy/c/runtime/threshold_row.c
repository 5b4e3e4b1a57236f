#include "rows.h"

void ql_threshold_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                      int32_t* y, size_t count) {
  const ql_threshold* rule = constants;
  const size_t per_channel = (size_t)rule->thresholds.step * rule->levels;
  const int64_t* thresholds = (const int64_t*)rule->thresholds.at + first * per_channel;
  const int8_t* inverted = rule->inverted.at + first * rule->inverted.step;
  (void)other;
  for (size_t i = 0; i < count; i++) {
    const int32_t number = x[i] ^ *inverted;
    int32_t code = rule->low;
    for (uint16_t level = 0; level < rule->levels && number >= thresholds[level]; level++)
      code += rule->step;
    y[i] = code;
    thresholds += per_channel;
    inverted += rule->inverted.step;
  }
}
