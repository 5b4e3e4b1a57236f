#include "small.h"
#include "wide.h"

typedef struct {
  int32_t multiplier;
  int64_t offset;
} rule;

static rule rule_of(const ql_small* layer, size_t output) {
  const int16_t* small = (const int16_t*)layer->constants + 2 * output * layer->step;
  const int32_t* large = (const int32_t*)layer->constants + 2 * output * layer->step;
  rule found;
  found.multiplier = layer->is_short ? small[0] : large[0];
  found.offset = ql_wide_product(layer->is_short ? small[1] : large[1], layer->unit);
  return found;
}

static int32_t doubled(const ql_small* layer, int32_t x) {
  return (int32_t)((uint32_t)x << layer->doublings);
}

static int32_t make(const ql_small* layer, const rule* made, int32_t sum, int32_t other) {
  const int64_t wide = ql_wide_product(made->multiplier, doubled(layer, sum)) + made->offset +
                       ql_wide_product(layer->other_multiplier, doubled(layer, other));
  return (int32_t)(wide >> 32) >> layer->shift;
}

#define QL_NAME ql_small_bytes
#include "small_bytes.inc"
