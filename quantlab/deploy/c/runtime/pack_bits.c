#include <string.h>

#include "bits.h"

/* Four bytes, the first the lowest, at any address. */
static uint32_t word_of(const uint8_t* bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
         (uint32_t)bytes[3] << 24;
}

void ql_pack_bits(const uint8_t* bytes, size_t count, uint8_t bit, uint32_t* words) {
  const uint32_t lowest = UINT32_C(0x01010101);
  while (count > 0) {
    uint8_t last[QL_WORD_BITS];
    const uint8_t* from = bytes;
    size_t taken = QL_WORD_BITS;
    if (count < QL_WORD_BITS) {
      taken = count;
      memset(last, 0, sizeof last);
      memcpy(last, bytes, count);
      from = last;
    }
    uint32_t word = word_of(from) >> bit & lowest;
    word |= (word_of(from + 4) >> bit & lowest) << 1;
    word |= (word_of(from + 8) >> bit & lowest) << 2;
    word |= (word_of(from + 12) >> bit & lowest) << 3;
    word |= (word_of(from + 16) >> bit & lowest) << 4;
    word |= (word_of(from + 20) >> bit & lowest) << 5;
    word |= (word_of(from + 24) >> bit & lowest) << 6;
    word |= (word_of(from + 28) >> bit & lowest) << 7;
    *words++ = word;
    bytes += taken;
    count -= taken;
  }
}
