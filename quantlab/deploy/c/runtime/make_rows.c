#include "made.h"

void ql_make_rows(const ql_finish* finish, const int32_t* row, const ql_place* places, size_t start,
                  size_t first, size_t count) {
  int32_t rows[QL_MOST_MADE][QL_ROW];
  int32_t other[QL_ROW];
  for (size_t i = 0; i < finish->num_made; i++) {
    const ql_make* one = &finish->made[i];
    const ql_place* place = &places[i];
    const int32_t* source = one->source == 0 ? row : rows[one->source - 1];
    if (one->bytes != NULL) {
      uint8_t passed_on[QL_ROW];
      const int is_stored = place->to != NULL && one->pooling == NULL;
      uint8_t* to = is_stored ? (uint8_t*)place->to + start + first : passed_on;
      one->bytes(one->constants, first, source, count, to);
#ifndef QL_TRACE
      if (one->is_taken || one->pooling != NULL)
#endif
        ql_load_row(to, (ql_type)one->type, 0, 1, rows[i], count);
    } else {
      const int is_sum = place->other != NULL;
      if (is_sum)
        ql_load_row(place->other, (ql_type)one->other_type, start + first, 1, other, count);
      one->function(one->constants, first, source, is_sum ? other : NULL, rows[i], count);
      if (place->to != NULL && one->pooling == NULL)
        ql_store_row(place->to, (ql_type)one->type, start + first, rows[i], count);
    }
    if (one->pooling != NULL) one->pooling->function(one, start, first, rows[i], count, place->to);
    QL_KEEP(one->tensor, start + first, rows[i], count);
  }
}
