#include "rice.h"

void ql_rice_row(ql_rice* rice) {
  const uint8_t end = (uint8_t)(rice->bit + rice->size_bits);
  rice->left = (size_t)(ql_rice_word(rice->at, rice->bit) >> (32 - rice->size_bits));
  rice->at += end / 8;
  rice->bit = end % 8;
  rice->next = 0;
  rice->end = rice->length;
  rice->column = 0;
}
