#include "small.h"
#include "wide.h"

void ql_small_numbers(const ql_small* layer, const ql_small_place* places, size_t count,
                      size_t output, const int32_t* sums, const void* other, void* to) {
  const int32_t* constants = (const int32_t*)layer->constants + 3 * output * layer->step;
  const uint64_t offset = (uint64_t)(uint32_t)constants[2] << 32 | (uint32_t)constants[1];
  (void)other;
  for (size_t i = 0; i < count; i++) {
    const int64_t wide = ql_wide_product(constants[0], sums[i]) + (int64_t)offset;
    const int32_t number = (int32_t)(wide >> layer->shift);
#ifdef QL_TRACE
    const int32_t whole = sums[i] + (layer->left_out == NULL ? 0 : layer->left_out[output]);
    ql_keep(layer->tensor, places[i].start + output, &whole, 1);
    if (layer->made != layer->tensor) ql_keep(layer->made, places[i].start + output, &number, 1);
#endif
    ((int32_t*)to)[places[i].at + output] = number;
  }
}
