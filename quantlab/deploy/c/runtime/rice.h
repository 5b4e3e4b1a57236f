/* Rows of nonzero weights in Rice codes. A layer's weights begin with four bytes: how many values
   they have, less one, then the bits of the codes of gaps, of those of values, and of the size of a
   row. The values follow, then the rows, bit by bit, the highest of a byte first; of each output
   its size, and of each entry its gap, the zeros before it in the window, and the place of its
   value. A number n in a code of a bits is n >> a zeros, a one and the a lowest bits of n. Outputs
   0, QL_SPARSE_ROW, ... begin with a byte. No entry has more than 25 bits, so that the four bytes
   from its first one on hold all of it; behind the last row are three more. */
#ifndef QL_RICE_H
#define QL_RICE_H

#include "rice_code.h"
#include "sparse.h"

/* How many entries are read at once. */
enum { QL_RICE_ENTRIES = 16 };

/* A weight, and where in a patch its first input is. */
typedef struct {
  size_t at;
  int32_t weight;
} ql_rice_entry;

/* What is read next. A window is cut into spans, whose inputs are one stretch of the patch: rows of
   the kernel, or places of it where the kernel has gaps or groups. `per_row` spans of `length`
   begin `step` apart in each row, and rows `pitch`. next: an element of the patch, before `end` of
   the `column`th span of its row. left: entries of the output. */
typedef struct {
  const uint8_t* at;
  const int8_t* values;
  uint8_t bit, gap_bits, value_bits, size_bits;
  size_t next, end, column, left;
  size_t length, per_row, step, pitch;
} ql_rice;

/* Begin with an output of a layer, for which `weights` is where it begins; for output 0 the weights
   of the layer. */
void ql_rice_begin(ql_rice* rice, const ql_product* layer, const ql_patch_sizes* sizes,
                   const int8_t* weights, size_t output);

/* Begin the next output. */
void ql_rice_row(ql_rice* rice);

/* Read entries of the output, and return how many: 0 behind its last one. */
size_t ql_rice_entries(ql_rice* rice, ql_rice_entry* entries);

#endif
