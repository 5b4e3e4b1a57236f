#include "rice.h"

enum { HEADER = 4 };

void ql_rice_begin(ql_rice* rice, const ql_product* layer, const ql_patch_sizes* sizes,
                   const int8_t* weights, size_t output) {
  const size_t per_group = (size_t)layer->channels / layer->groups;
  const int is_joined = layer->groups == 1 && layer->dilation_columns == 1;
  const uint8_t* header = (const uint8_t*)layer->weights;
  rice->values = layer->weights + HEADER;
  rice->at = output == 0 ? header + HEADER + header[0] + 1 : (const uint8_t*)weights;
  rice->bit = 0;
  rice->gap_bits = header[1];
  rice->value_bits = header[2];
  rice->size_bits = header[3];
  rice->length = is_joined ? layer->kernel_columns * per_group : per_group;
  rice->per_row = is_joined ? 1 : layer->kernel_columns;
  rice->step = (size_t)layer->dilation_columns * layer->channels;
  rice->pitch = sizes->pitch;
}
