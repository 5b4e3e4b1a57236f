#include "walk.h"

void ql_walk_rows(const ql_walk* walk, const void* x, const void* other, void* to) {
  const uint8_t axes = walk->axes;
  const uint8_t last = (uint8_t)(axes - 1);
  const uint32_t* to_steps = walk->steps;
  const uint32_t* x_steps = to_steps + axes + 1;
  const uint32_t* other_steps = x_steps + axes + 1;
  const uint32_t* constant_steps = other_steps + (other == NULL ? 0 : axes + 1);
  const size_t x_step = (size_t)x_steps[axes];
  const size_t other_step = other == NULL ? 0 : (size_t)other_steps[axes];
  int32_t row[QL_ROW], added[QL_ROW];
  uint16_t at[QL_AXES] = {0};
  ql_moved moved;
  do {
    const size_t to_start = ql_row_place(to_steps, at, axes);
    size_t x_start = ql_row_place(x_steps, at, axes);
    size_t other_start = other == NULL ? 0 : ql_row_place(other_steps, at, axes);
    const void* constants = walk->constants;
    if (walk->move != NULL) constants = walk->move(constants, constant_steps, at, axes, &moved);
    for (size_t first = 0; first < walk->size[last]; first += QL_ROW) {
      size_t count = walk->size[last] - first;
      if (count > QL_ROW) count = QL_ROW;
      ql_load_row(x, (ql_type)walk->x_type, x_start, x_step, row, count);
      x_start += QL_ROW * x_step;
      if (other != NULL) {
        ql_load_row(other, (ql_type)walk->other_type, other_start, other_step, added, count);
        other_start += QL_ROW * other_step;
      }
      if (walk->before != NULL) {
        walk->before(walk->before_constants, first, row, added, row, count);
        QL_KEEP(walk->tensor, to_start + first, row, count);
      }
      if (walk->bytes != NULL) {
        walk->bytes(constants, first, row, count, (uint8_t*)to + to_start + first);
        continue;
      }
      if (walk->row != NULL) {
        const int is_sum = other != NULL && walk->before == NULL;
        walk->row(constants, first, row, is_sum ? added : NULL, row, count);
      }
      ql_store_row(to, (ql_type)walk->type, to_start + first, row, count);
    }
  } while (ql_next_row(walk->size, at, axes));
}
