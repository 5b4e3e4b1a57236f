#include "walk.h"

int ql_next_row(const uint16_t* size, uint16_t* at, uint8_t axes) {
  for (size_t axis = (size_t)axes - 1; axis-- > 0;) {
    if (++at[axis] < size[axis]) return 1;
    at[axis] = 0;
  }
  return 0;
}
