#include "rows.h"

void ql_lookup_row(const void* constants, size_t first, const int32_t* x, const int32_t* other,
                   int32_t* y, size_t count) {
  const ql_lookup* rule = constants;
  (void)first;
  (void)other;
  for (size_t i = 0; i < count; i++) y[i] = rule->table[x[i] - rule->lowest];
}
