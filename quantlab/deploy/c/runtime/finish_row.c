#include "made.h"

#ifdef QL_TRACE
static void keep(const ql_finish* finish, const int32_t* row, size_t start, size_t first,
                 size_t count) {
  int32_t whole[QL_ROW];
  for (size_t i = 0; i < count; i++)
    whole[i] = row[i] + (finish->left_out == NULL ? 0 : finish->left_out[first + i]);
  ql_keep(finish->tensor, start + first, whole, count);
}
#endif

void ql_finish_row(const ql_finish* finish, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count) {
  if (sums != NULL) ql_store_row(sums, QL_S32, start + first, row, count);
#ifdef QL_TRACE
  keep(finish, row, start, first, count);
#endif
  if (finish->has_rows) {
    ql_make_rows(finish, row, places, start, first, count);
    return;
  }
  for (size_t i = 0; i < finish->num_made; i++) {
    const ql_make* one = &finish->made[i];
    one->bytes(one->constants, first, row, count, (uint8_t*)places[i].to + start + first);
#ifdef QL_TRACE
    int32_t made[QL_ROW];
    ql_load_row(places[i].to, (ql_type)one->type, start + first, 1, made, count);
    ql_keep(one->tensor, start + first, made, count);
#endif
  }
}
