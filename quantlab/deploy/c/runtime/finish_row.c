#include "product.h"

#ifdef QL_TRACE
static void keep(const ql_product* layer, const int32_t* row, size_t start, size_t first,
                 size_t count) {
  int32_t whole[QL_ROW];
  for (size_t i = 0; i < count; i++)
    whole[i] = row[i] + (layer->left_out == NULL ? 0 : layer->left_out[first + i]);
  ql_keep(layer->tensor, start + first, whole, count);
}
#endif

void ql_finish_row(const ql_product* layer, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count) {
  if (sums != NULL) ql_store_row(sums, QL_S32, start + first, row, count);
#ifdef QL_TRACE
  keep(layer, row, start, first, count);
#endif
  ql_make_rows(layer->made, places, layer->num_made, row, start, first, count);
}
