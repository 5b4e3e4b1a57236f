#include "bits.h"

/* Words that are added up bit by bit before their bits are counted: R. Harley; H. S. Warren,
   "Hacker's Delight", 2nd edition, section 5-1. */
enum { BLOCK = 4 };
/* Their counts, 32 a byte, fit into bytes with those of what is left, 24. */
enum { MOST_BLOCKS = 7 };

/* The bits of each byte, counted. */
static uint32_t count_in_bytes(uint32_t bits) {
  bits -= bits >> 1 & UINT32_C(0x55555555);
  bits = (bits & UINT32_C(0x33333333)) + (bits >> 2 & UINT32_C(0x33333333));
  return (bits + (bits >> 4)) & UINT32_C(0x0F0F0F0F);
}

static uint32_t sum_of_bytes(uint32_t bytes) {
  const uint32_t halves = (bytes & UINT32_C(0x00FF00FF)) + (bytes >> 8 & UINT32_C(0x00FF00FF));
  return (halves + (halves >> 16)) & UINT32_C(0xFFFF);
}

/* sum + one + other, bit by bit: the sum stays in place, the carry is returned. */
static inline uint32_t add(uint32_t* sum, uint32_t one, uint32_t other) {
  const uint32_t half = *sum ^ one;
  const uint32_t carry = (*sum & one) | (half & other);
  *sum = half ^ other;
  return carry;
}

uint32_t ql_count_common(const uint32_t* x, const uint32_t* weights, size_t num_words) {
  uint32_t total = 0, ones = 0, twos = 0, fours = 0;
  const size_t rest = num_words % BLOCK;
  if (rest > 0) ones = x[0] & weights[0];
  if (rest > 1) twos = add(&ones, x[1] & weights[1], rest > 2 ? x[2] & weights[2] : 0);
  x += rest;
  weights += rest;
  for (size_t blocks = num_words / BLOCK; blocks > 0;) {
    size_t some = blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
    blocks -= some;
    total += sum_of_bytes(4 * fours);
    fours = 0;
    for (; some > 0; some--, x += BLOCK, weights += BLOCK) {
      const uint32_t first = add(&ones, x[0] & weights[0], x[1] & weights[1]);
      const uint32_t second = add(&ones, x[2] & weights[2], x[3] & weights[3]);
      fours += count_in_bytes(add(&twos, first, second));
    }
  }
  return total + sum_of_bytes(4 * fours + 2 * count_in_bytes(twos) + count_in_bytes(ones));
}
