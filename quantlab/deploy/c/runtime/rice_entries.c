#include "rice.h"

/* Go on to the span that has the next element. */
QL_NOINLINE static size_t next_span(ql_rice* rice, size_t next) {
  while (next >= rice->end) {
    size_t step = rice->step;
    if (++rice->column == rice->per_row) {
      rice->column = 0;
      step += rice->pitch - rice->per_row * step;
    }
    next += step - rice->length;
    rice->end += step;
  }
  return next;
}

size_t ql_rice_entries(ql_rice* rice, ql_rice_entry* entries) {
  const size_t count = rice->left < QL_RICE_ENTRIES ? rice->left : QL_RICE_ENTRIES;
  const ql_rice_entry* last = entries + count;
  const int8_t* values = rice->values;
  const uint8_t* at = rice->at;
  const uint8_t gap_bits = rice->gap_bits, value_bits = rice->value_bits;
  const size_t num_bits = gap_bits + value_bits + (size_t)2;
  size_t next = rice->next, bit = rice->bit;
  for (; entries != last; entries++, next++) {
    uint32_t word = ql_rice_word(at, (uint8_t)bit);
    const uint8_t zeros = ql_rice_zeros(word);
    next += ql_rice_take(&word, zeros, gap_bits);
    const uint8_t more = ql_rice_zeros(word);
    entries->weight = values[ql_rice_take(&word, more, value_bits)];
    bit += num_bits + zeros + more;
    at += bit / 8;
    bit %= 8;
    if (next >= rice->end) next = next_span(rice, next);
    entries->at = next;
  }
  rice->at = at;
  rice->bit = (uint8_t)bit;
  rice->next = next;
  rice->left -= count;
  return count;
}
