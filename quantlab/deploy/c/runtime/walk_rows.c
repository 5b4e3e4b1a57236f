#include "walk.h"

static size_t place(const ql_steps* steps, const uint16_t* at) {
  size_t found = (size_t)steps->start;
  for (size_t axis = 0; axis + 1 < QL_AXES; axis++) found += at[axis] * (size_t)steps->step[axis];
  return found;
}

/* Move to the next row: the last axis but one counts first. Returns 0 behind the end. */
static int next_row(const ql_walk* walk, uint16_t* at) {
  for (size_t axis = QL_AXES - 1; axis-- > 0;) {
    if (++at[axis] < walk->size[axis]) return 1;
    at[axis] = 0;
  }
  return 0;
}

void ql_walk_rows(const ql_walk* walk, const void* x, const void* other, void* to) {
  enum { LAST = QL_AXES - 1 };
  int32_t row[QL_ROW], added[QL_ROW];
  uint16_t at[QL_AXES] = {0};
  do {
    const size_t x_start = place(&walk->x, at), other_start = place(&walk->other, at);
    const size_t to_start = place(&walk->to, at);
    const size_t x_step = (size_t)walk->x.step[LAST], other_step = (size_t)walk->other.step[LAST];
    const void* constants = walk->constants;
    ql_rescale rescale;
    ql_threshold threshold;
    if (walk->moving == QL_RESCALING) {
      rescale = *(const ql_rescale*)walk->constants;
      rescale.multiplier.at += place(&walk->arrays[0], at);
      if (other != NULL) rescale.other_multiplier.at += place(&walk->arrays[1], at);
      rescale.offset.at += place(&walk->arrays[2], at);
      rescale.shift.at += place(&walk->arrays[3], at);
      constants = &rescale;
    } else if (walk->moving == QL_COUNTING) {
      threshold = *(const ql_threshold*)walk->constants;
      threshold.thresholds.at += place(&walk->arrays[0], at) * threshold.levels;
      threshold.sign.at += place(&walk->arrays[1], at);
      constants = &threshold;
    }
    for (size_t first = 0; first < walk->size[LAST]; first += QL_ROW) {
      size_t count = walk->size[LAST] - first;
      if (count > QL_ROW) count = QL_ROW;
      ql_load_row(x, (ql_type)walk->x_type, x_start + first * x_step, x_step, row, count);
      if (other != NULL)
        ql_load_row(other, (ql_type)walk->other_type, other_start + first * other_step, other_step,
                    added, count);
      if (walk->function != NULL)
        walk->function(constants, first, row, other == NULL ? NULL : added, row, count);
      ql_store_row(to, (ql_type)walk->type, to_start + first, row, count);
    }
  } while (next_row(walk, at));
}
