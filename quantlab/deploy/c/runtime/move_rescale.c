#include "walk.h"

const void* ql_move_rescale(const void* constants, const uint32_t* steps, const uint16_t* at,
                            uint8_t axes, ql_moved* moved) {
  ql_rescale* rescale = &moved->rescale;
  const size_t next = (size_t)axes + 1;
  *rescale = *(const ql_rescale*)constants;
  rescale->multiplier.at += ql_row_place(steps, at, axes);
  if (rescale->other_multiplier.at != NULL)
    rescale->other_multiplier.at += ql_row_place(steps + next, at, axes);
  rescale->offset.at += ql_row_place(steps + 2 * next, at, axes);
  rescale->shift.at += ql_row_place(steps + 3 * next, at, axes);
  return rescale;
}
