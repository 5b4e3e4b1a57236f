#include "selftest.h"

/* xorshift32: G. Marsaglia, "Xorshift RNGs", 2003. */
uint32_t ql_fill(void* bytes, size_t size, uint32_t seed) {
  uint8_t* to = bytes;
  for (size_t i = 0; i < size; i++) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    to[i] = (uint8_t)(seed >> 24);
  }
  return seed;
}

uint32_t ql_crc32(uint32_t crc, const void* bytes, size_t size) {
  const uint8_t* from = bytes;
  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc ^= from[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? UINT32_C(0xEDB88320) : 0);
  }
  return ~crc;
}
