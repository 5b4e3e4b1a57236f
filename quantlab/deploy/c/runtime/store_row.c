#include "rows.h"

#define STORE(integer)                                          \
  {                                                             \
    integer* to = (integer*)tensor + first;                     \
    for (size_t i = 0; i < count; i++) to[i] = (integer)row[i]; \
    break;                                                      \
  }

void ql_store_row(void* tensor, ql_type type, size_t first, const int32_t* row, size_t count) {
  switch (type) {
    case QL_U8:
      STORE(uint8_t)
    case QL_S8:
      STORE(int8_t)
    case QL_S16:
      STORE(int16_t)
    case QL_S32:
      STORE(int32_t)
  }
}
