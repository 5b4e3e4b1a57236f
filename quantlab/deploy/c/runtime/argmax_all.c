#include "walk.h"

void ql_argmax_all(const ql_argmax* argmax, const void* x, int32_t* to) {
  uint16_t at[QL_AXES] = {0};
  size_t axis;
  do {
    size_t place = (size_t)argmax->x.start;
    for (axis = 0; axis < QL_AXES; axis++) place += at[axis] * (size_t)argmax->x.step[axis];
    int32_t best = 0, number;
    *to = 0;
    for (uint16_t i = 0; i < argmax->count; i++) {
      ql_load_row(x, (ql_type)argmax->x_type, place + i * (size_t)argmax->step, 1, &number, 1);
      if (i == 0 || number > best) {
        best = number;
        *to = i;
      }
    }
    to++;
    for (axis = QL_AXES; axis-- > 0;) {
      if (++at[axis] < argmax->size[axis]) break;
      at[axis] = 0;
    }
  } while (axis < QL_AXES);
}
