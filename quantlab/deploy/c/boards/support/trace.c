/* Each record: sample, tensor, first element, number of elements, these elements; 32 bits each. */
#include "trace.h"

#include "../../runtime/ql.h"

enum { MOST_WORDS = 128, HEADER = 4 };

static board_file file;
static uint32_t sample;
static int32_t words[MOST_WORDS];
static size_t num_words;

void trace_open(const char* name) { file = board_open_to_write(name); }

void trace_sample(uint32_t number) { sample = number; }

void trace_close(void) {
  board_write(file, words, num_words * sizeof *words);
  num_words = 0;
}

void ql_keep(uint16_t tensor, size_t first, const int32_t* numbers, size_t count) {
  if (tensor == UINT16_MAX) return; /* A part of a tensor, which is given as such too. */
  while (count > 0) {
    if (num_words + HEADER >= MOST_WORDS) trace_close();
    size_t taken = MOST_WORDS - HEADER - num_words;
    if (taken > count) taken = count;
    words[num_words++] = (int32_t)sample;
    words[num_words++] = tensor;
    words[num_words++] = (int32_t)first;
    words[num_words++] = (int32_t)taken;
    for (size_t i = 0; i < taken; i++) words[num_words++] = numbers[i];
    first += taken;
    numbers += taken;
    count -= taken;
  }
}

static int32_t element(const void* tensor, ql_type type, size_t place) {
  switch (type) {
    case QL_U8:
      return ((const uint8_t*)tensor)[place];
    case QL_S8:
      return ((const int8_t*)tensor)[place];
    case QL_S16:
      return ((const int16_t*)tensor)[place];
    case QL_S32:
      break;
  }
  return ((const int32_t*)tensor)[place];
}

void ql_keep_tensor(uint16_t tensor, const void* at, ql_type type, size_t count) {
  int32_t row[32];
  size_t num = 0;
  for (size_t i = 0; i < count; i++) {
    row[num++] = element(at, type, i);
    if (num == sizeof row / sizeof *row || i + 1 == count) {
      ql_keep(tensor, i + 1 - num, row, num);
      num = 0;
    }
  }
}
