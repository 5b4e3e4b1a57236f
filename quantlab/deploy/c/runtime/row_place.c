#include "walk.h"

size_t ql_row_place(const uint32_t* steps, const uint16_t* at, uint8_t axes) {
  size_t place = (size_t)*steps++;
  for (uint8_t axis = 0; axis + 1 < axes; axis++) place += at[axis] * (size_t)steps[axis];
  return place;
}
