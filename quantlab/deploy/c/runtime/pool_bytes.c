#include "made.h"

void ql_pool_bytes(const ql_make* one, size_t start, size_t first, const int32_t* row, size_t count,
                   void* to) {
  size_t pooled;
  const ql_part part = ql_find_pooled(one->pooling, start, &pooled);
  uint8_t codes[QL_ROW];
  uint8_t* most = (uint8_t*)to + pooled + first;
  if (part == QL_NOWHERE) return;
  if (part == QL_FIRST_OF_WINDOW) {
    one->bytes(one->constants, first, row, count, most);
    return;
  }
  one->bytes(one->constants, first, row, count, codes);
  /* Signed bytes are in the order of unsigned ones whose first bit is the other one. */
  const uint8_t sign = one->type == QL_S8 ? 0x80 : 0;
  for (size_t i = 0; i < count; i++)
    if ((codes[i] ^ sign) > (most[i] ^ sign)) most[i] = codes[i];
}
