#include <string.h>

#include "made.h"

#ifdef QL_TRACE
static void keep_sums(const ql_finish* finish, const int32_t* row, size_t start, size_t first,
                      size_t count) {
  int32_t whole[QL_ROW];
  for (size_t i = 0; i < count; i++)
    whole[i] = row[i] + (finish->left_out == NULL ? 0 : finish->left_out[first + i]);
  ql_keep(finish->tensor, start + first, whole, count);
}

static void keep_bytes(const ql_make* one, const int32_t* row, size_t start, size_t first,
                       size_t count) {
  uint8_t codes[QL_ROW];
  int32_t made[QL_ROW];
  one->bytes(one->constants, first, row, count, codes);
  for (size_t i = 0; i < count; i++) made[i] = one->type == QL_S8 ? ((int8_t*)codes)[i] : codes[i];
  ql_keep(one->tensor, start + first, made, count);
}
#endif

void ql_finish_row(const ql_finish* finish, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count) {
  if (sums != NULL) memcpy(sums + start + first, row, count * sizeof *row);
#ifdef QL_TRACE
  keep_sums(finish, row, start, first, count);
#endif
  if (finish->rows != NULL) {
    finish->rows(finish, row, places, start, first, count);
    return;
  }
  for (size_t i = 0; i < finish->num_made; i++) {
    const ql_make* one = &finish->made[i];
    if (one->pooling != NULL)
      one->pooling->function(one, start, first, row, count, places[i].to);
    else
      one->bytes(one->constants, first, row, count, (uint8_t*)places[i].to + start + first);
#ifdef QL_TRACE
    keep_bytes(one, row, start, first, count);
#endif
  }
}
