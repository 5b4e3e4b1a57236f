#include "made.h"

void ql_pool_row(const ql_make* one, size_t start, size_t first, const int32_t* row, size_t count,
                 void* to) {
  const ql_type type = (ql_type)one->type;
  int32_t most[QL_ROW];
  size_t pooled;
  const ql_part part = ql_find_pooled(one->pooling, start, &pooled);
  if (part == QL_NOWHERE) return;
  if (part == QL_IN_WINDOW) {
    ql_load_row(to, type, pooled + first, 1, most, count);
    for (size_t i = 0; i < count; i++)
      if (row[i] > most[i]) most[i] = row[i];
    row = most;
  }
  ql_store_row(to, type, pooled + first, row, count);
}
