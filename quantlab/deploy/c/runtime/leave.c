#include "exits.h"

int ql_leave(const int32_t* scores, uint16_t count, uint32_t margin, void* to, void* left,
             uint8_t number) {
  uint16_t best = 0;
  for (uint16_t i = 1; i < count; i++) {
    if (scores[i] > scores[best]) best = i;
  }
  for (uint16_t i = 0; i < count; i++) {
    /* Of integers without a sign the difference is exact. */
    if (i != best && (uint32_t)scores[best] - (uint32_t)scores[i] < margin) return 0;
  }
  ql_give(scores, count, to, left, number);
  return 1;
}
