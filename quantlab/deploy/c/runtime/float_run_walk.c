#include "float_walk.h"

static size_t place(const ql_float_steps* steps, const size_t* at) {
  size_t found = steps->start;
  for (size_t axis = 0; axis + 1 < QL_FLOAT_AXES; axis++) found += at[axis] * steps->step[axis];
  return found;
}

/* Move to the next row: the last axis but one counts first. Returns 0 behind the end. */
static int next_row(const ql_float_walk* walk, size_t* at) {
  for (size_t axis = QL_FLOAT_AXES - 1; axis-- > 0;) {
    if (++at[axis] < walk->size[axis]) return 1;
    at[axis] = 0;
  }
  return 0;
}

void ql_float_run_walk(const ql_float_walk* walk, const float* x, const float* other, float* to) {
  enum { LAST = QL_FLOAT_AXES - 1 };
  size_t at[QL_FLOAT_AXES] = {0};
  do {
    walk->function(walk->constants, x + place(&walk->x, at), walk->x.step[LAST],
                   other + place(&walk->other, at), walk->other.step[LAST],
                   to + place(&walk->to, at), walk->to.step[LAST], walk->size[LAST]);
  } while (next_row(walk, at));
}
