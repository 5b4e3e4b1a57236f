#include "rows.h"
#include "wide.h"

void ql_coarse_sum_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                       int32_t* y, size_t count) {
  const ql_coarse* rule = constants;
  const int32_t low = rule->low, high = rule->high;
  const size_t step = rule->multipliers.step, offset_step = rule->offsets.step;
  const int32_t* multiplier = rule->multipliers.at + first * step;
  const int32_t* offset = rule->offsets.at + first * offset_step;
  const int32_t unit = rule->unit, other_multiplier = rule->other_multiplier;
  const uint8_t shift = (uint8_t)(rule->shift - 32), doublings = rule->doublings;
  for (const int32_t* end = x + count; x != end; x++, other++, y++) {
    const int32_t doubled = (int32_t)((uint32_t)*x << doublings);
    const int32_t added = (int32_t)((uint32_t)*other << doublings);
    int64_t wide = ql_wide_product(*offset, unit) + ql_wide_product(*multiplier, doubled);
    wide += ql_wide_product(other_multiplier, added);
    int32_t sum = (int32_t)(wide >> 32) >> shift;
    if (sum < low) sum = low;
    if (sum > high) sum = high;
    *y = sum;
    multiplier += step;
    offset += offset_step;
  }
}
