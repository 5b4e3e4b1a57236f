#include "rows.h"

void ql_lookup_bytes(const void* constants, size_t first, const int32_t* x, size_t count,
                     uint8_t* to) {
  const ql_byte_lookup* rule = constants;
  (void)first;
  for (size_t i = 0; i < count; i++) to[i] = rule->table[x[i] - rule->lowest];
}
