#include "rows.h"
#include "wide.h"

void ql_rescale_high_row(const void* constants, size_t first, const int32_t* x,
                         const int32_t* other, int32_t* y, size_t count) {
  const ql_rescale* rule = constants;
  const int32_t low = rule->low, high = rule->high;
  const size_t multiplier_step = rule->multiplier.step, offset_step = rule->offset.step;
  const size_t shift_step = rule->shift.step;
  const int32_t* multiplier = rule->multiplier.at + first * multiplier_step;
  const int64_t* offset = rule->offset.at + first * offset_step;
  const uint8_t* shift = rule->shift.at + first * shift_step;
  const size_t other_step = rule->other_multiplier.step;
  const int32_t* other_multiplier = NULL;
  if (other != NULL) other_multiplier = rule->other_multiplier.at + first * other_step;
  for (const int32_t* end = x + count; x != end; x++, y++) {
    int64_t wide = *offset + ql_wide_product(*multiplier, *x);
    if (other != NULL) {
      wide += ql_wide_product(*other_multiplier, *other++);
      other_multiplier += other_step;
    }
    int32_t sum = (int32_t)(wide >> 32);
    sum >>= *shift - 32;
    if (sum < low) sum = low;
    if (sum > high) sum = high;
    *y = sum;
    multiplier += multiplier_step;
    offset += offset_step;
    shift += shift_step;
  }
}
