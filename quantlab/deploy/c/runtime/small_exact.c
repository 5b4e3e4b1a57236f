#include "small.h"
#include "wide.h"

/* Words of 32 bits: both multipliers, the offset with its low word first, the shift. */
enum { MULTIPLIER, OTHER_MULTIPLIER, LOW, HIGH, SHIFT, NUM_WORDS };

typedef struct {
  const int32_t* words;
  uint64_t offset;
} rule;

static rule rule_of(const ql_small* layer, size_t output) {
  rule found;
  found.words = (const int32_t*)layer->constants + NUM_WORDS * output * layer->step;
  found.offset = (uint64_t)(uint32_t)found.words[HIGH] << 32 | (uint32_t)found.words[LOW];
  return found;
}

/* Terms may wrap around, the sum does not. */
static int32_t make(const ql_small* layer, const rule* made, int32_t sum, int32_t other) {
  const uint64_t added = (uint64_t)ql_wide_product(made->words[OTHER_MULTIPLIER], other);
  const uint64_t wide =
      (uint64_t)ql_wide_product(made->words[MULTIPLIER], sum) + made->offset + added;
  const int64_t code = (int64_t)wide >> made->words[SHIFT];
  if (code < layer->low) return layer->low;
  return code > layer->high ? layer->high : (int32_t)code;
}

#define QL_NAME ql_small_exact
#include "small_bytes.inc"
