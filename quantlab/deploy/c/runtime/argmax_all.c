#include "walk.h"

void ql_argmax_all(const ql_argmax* argmax, const void* x, int32_t* to) {
  const uint8_t axes = argmax->axes;
  const size_t row_step = (size_t)argmax->steps[axes];
  uint16_t at[QL_AXES] = {0};
  do {
    size_t place = ql_row_place(argmax->steps, at, axes);
    for (uint16_t along = argmax->size[axes - 1]; along > 0; along--, place += row_step, to++) {
      int32_t best = 0, number;
      *to = 0;
      for (uint16_t i = 0; i < argmax->count; i++) {
        ql_load_row(x, (ql_type)argmax->x_type, place + i * (size_t)argmax->step, 1, &number, 1);
        if (i == 0 || number > best) {
          best = number;
          *to = i;
        }
      }
    }
  } while (ql_next_row(argmax->size, at, axes));
}
