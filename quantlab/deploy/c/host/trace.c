/* What a host is given of a model that was compiled with QL_TRACE: every number of every tensor, as
   32-bit integers in the order in which they lie in memory. */
#include "runtime/ql.h"

static int32_t* const* tensors;

/* kept: an array for each tensor, by its number. */
void ql_trace_into(int32_t* const* kept) { tensors = kept; }

void ql_keep(uint16_t tensor, size_t first, const int32_t* numbers, size_t count) {
  if (tensor == UINT16_MAX) return; /* A part of a tensor, which is given as such too. */
  for (size_t i = 0; i < count; i++) tensors[tensor][first + i] = numbers[i];
}

void ql_keep_tensor(uint16_t tensor, const void* at, ql_type type, size_t count) {
  for (size_t i = 0; i < count; i++) {
    switch (type) {
      case QL_U8:
        tensors[tensor][i] = ((const uint8_t*)at)[i];
        break;
      case QL_S8:
        tensors[tensor][i] = ((const int8_t*)at)[i];
        break;
      case QL_S16:
        tensors[tensor][i] = ((const int16_t*)at)[i];
        break;
      case QL_S32:
        tensors[tensor][i] = ((const int32_t*)at)[i];
        break;
    }
  }
}
