#include "small.h"
#include "wide.h"

/* Words of 32 bits: the multiplier, the offset with its low word first, the shift. */
enum { MULTIPLIER, LOW, HIGH, SHIFT, NUM_WORDS };

void ql_small_exact_numbers(const ql_small* layer, const ql_small_place* places, size_t count,
                            size_t output, const int32_t* sums, const void* other, void* to) {
  const int32_t* words = (const int32_t*)layer->constants + NUM_WORDS * output * layer->step;
  const uint64_t offset = (uint64_t)(uint32_t)words[HIGH] << 32 | (uint32_t)words[LOW];
  (void)other;
  for (size_t i = 0; i < count; i++) {
    const uint64_t product = (uint64_t)ql_wide_product(words[MULTIPLIER], sums[i]);
    const int64_t wide = (int64_t)(product + offset) >> words[SHIFT];
    int32_t number = (int32_t)wide;
    if (wide < INT32_MIN) number = INT32_MIN;
    if (wide > INT32_MAX) number = INT32_MAX;
#ifdef QL_TRACE
    const int32_t whole = sums[i] + (layer->left_out == NULL ? 0 : layer->left_out[output]);
    ql_keep(layer->tensor, places[i].start + output, &whole, 1);
    ql_keep(layer->made, places[i].start + output, &number, 1);
#endif
    ((int32_t*)to)[places[i].at + output] = number;
  }
}
