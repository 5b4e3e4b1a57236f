#include "rows.h"

#define LOAD(integer)                                                \
  {                                                                  \
    const integer* from = (const integer*)tensor + first;            \
    for (size_t i = 0; i < count; i++, from += step) row[i] = *from; \
    break;                                                           \
  }

void ql_load_row(const void* tensor, ql_type type, size_t first, size_t step, int32_t* row,
                 size_t count) {
  switch (type) {
    case QL_U8:
      LOAD(uint8_t)
    case QL_S8:
      LOAD(int8_t)
    case QL_S16:
      LOAD(int16_t)
    case QL_S32:
      LOAD(int32_t)
  }
}
