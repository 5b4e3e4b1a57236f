#include "product.h"

void ql_finish_row(const ql_product* layer, const int32_t* row, int32_t* sums,
                   const ql_place* places, size_t start, size_t first, size_t count) {
  if (sums != NULL) ql_store_row(sums, QL_S32, start + first, row, count);
  QL_KEEP(layer->tensor, start + first, row, count);
  ql_make_rows(layer->made, places, layer->num_made, row, start, first, count);
}
