#include "tile_copy.h"

#include <string.h>

void ql_tile_copy(void* to, const void* from, size_t size, uint16_t number, uint16_t count) {
  const size_t most = (size_t)count * QL_TILE_UNIT, first = number * most, rest = size - first;
  memcpy((uint8_t*)to + first, (const uint8_t*)from + first, rest < most ? rest : most);
}
