#include <string.h>

#include "exits.h"

void ql_give(const int32_t* scores, uint16_t count, void* to, void* left, uint8_t number) {
  memcpy(to, scores, count * sizeof(int32_t));
  *(uint8_t*)left = number;
}
