#include "rows.h"
#include "wide.h"

void ql_rescale_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                    int32_t* y, size_t count) {
  const ql_rescale* rule = constants;
  const int32_t* multiplier = rule->multiplier.at + first * rule->multiplier.step;
  const int64_t* offset = rule->offset.at + first * rule->offset.step;
  const uint8_t* shift = rule->shift.at + first * rule->shift.step;
  const int32_t* other_multiplier = NULL;
  if (other != NULL)
    other_multiplier = rule->other_multiplier.at + first * rule->other_multiplier.step;
  for (size_t i = 0; i < count; i++) {
    int64_t sum = *offset + ql_wide_product(*multiplier, x[i]);
    if (other != NULL) {
      sum += ql_wide_product(*other_multiplier, other[i]);
      other_multiplier += rule->other_multiplier.step;
    }
    sum >>= *shift;
    if (sum < rule->low) sum = rule->low;
    if (sum > rule->high) sum = rule->high;
    y[i] = (int32_t)sum;
    multiplier += rule->multiplier.step;
    offset += rule->offset.step;
    shift += rule->shift.step;
  }
}
