#include "float_numbers.h"

#include <string.h>

#include "floats.h"

void ql_float_numbers(void* bytes, size_t size) {
  uint8_t* at = bytes;
  for (size_t i = 0; i + 4 <= size; i += 4, at += 4) {
    const uint32_t bits = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
    const float number = (float)bits * 0x1p-23f - 1.0f;
    memcpy(at, &number, sizeof number);
  }
}
