#include <string.h>

#include "rice_depthwise.h"

void ql_rice_unpack(const ql_product* layer, int8_t* weights) {
  const size_t size = (size_t)layer->kernel_rows * layer->kernel_columns * layer->channels;
  const ql_patch_sizes sizes = {size, size, size};
  ql_rice_entry entries[QL_RICE_ENTRIES];
  ql_product row = *layer;
  ql_rice rice;
  row.channels = (uint16_t)size;
  row.kernel_columns = 1;
  row.dilation_columns = 1;
  row.groups = 1;
  ql_rice_begin(&rice, &row, &sizes, NULL, 0);
  ql_rice_row(&rice);
  memset(weights, 0, size);
  for (;;) {
    const size_t count = ql_rice_entries(&rice, entries);
    if (count == 0) break;
    for (size_t i = 0; i < count; i++) weights[entries[i].at] = (int8_t)entries[i].weight;
  }
}
