#include "is_same.h"

int ql_is_same(const void* one, const void* other, size_t size) {
  const uint8_t *a = one, *b = other;
  for (size_t i = 0; i < size; i++) {
    if (a[i] != b[i]) return 0;
  }
  return 1;
}
