#include "bits.h"

/* An input is the sum over planes of 2^bit, for the bits from `first` on that it has; the last one
   counts negatively if it is the sign. */
typedef struct {
  uint8_t first, count, is_signed, weight_bits;
} planes_of_layer;

static planes_of_layer planes_of(const ql_product* layer) {
  const uint32_t word = *(const uint32_t*)(const void*)layer->weights;
  const planes_of_layer planes = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16 & 1),
                                  (uint8_t)(word >> 24)};
  return planes;
}

static size_t num_words(size_t length) { return (length + QL_WORD_BITS - 1) / QL_WORD_BITS; }

/* A group of a window. */
static size_t length_of(const ql_product* layer) {
  const size_t channels = (size_t)layer->channels / layer->groups;
  return (size_t)layer->kernel_rows * layer->kernel_columns * channels;
}

/* What so many bits of a plane count. */
static uint32_t value_of(const planes_of_layer* planes, uint8_t plane, uint32_t num_bits) {
  const uint32_t value = num_bits << (planes->first + plane);
  return planes->is_signed && plane + 1 == planes->count ? 0 - value : value;
}

/* The sum of those inputs whose weights have a bit. */
static uint32_t sum_of(const planes_of_layer* planes, const ql_gathered* x,
                       const uint32_t* weights) {
  const size_t words = num_words(x->length);
  uint32_t sum = 0;
  for (uint8_t i = 0; i < planes->count; i++)
    sum += value_of(planes, i, ql_count_common(x->words + i * words, weights, words));
  return sum;
}

/* The planes of a group of a window, and with weights of one bit the sum of all inputs. */
static void prepare(const ql_product* layer, ql_gathered* x) {
  const planes_of_layer planes = planes_of(layer);
  const size_t words = num_words(x->length);
  for (uint8_t i = 0; i < planes.count; i++)
    ql_pack_bits(x->bytes, x->length, (uint8_t)(planes.first + i), x->words + i * words);
  uint32_t shared = 0;
  for (uint8_t i = 0; planes.weight_bits == 1 && i < planes.count; i++) {
    const uint32_t* plane = x->words + i * words;
    shared += value_of(&planes, i, ql_count_common(plane, plane, words));
  }
  x->shared = (int32_t)shared;
}

static void add(const ql_product* layer, const ql_gathered* x, size_t first, size_t count,
                int32_t* sums) {
  const uint32_t* weights = (const uint32_t*)(const void*)layer->weights;
  const planes_of_layer planes = planes_of(layer);
  const size_t words = num_words(x->length);
  weights += 1 + first * planes.weight_bits * words;
  for (; count > 0; count--, sums++) {
    uint32_t sum = 0;
    if (planes.weight_bits > 1) {
      sum = sum_of(&planes, x, weights);
      weights += words;
    }
    sum -= 2 * sum_of(&planes, x, weights);
    weights += words;
    *sums = (int32_t)((uint32_t)*sums + sum);
  }
}

void ql_bit_product(const ql_product* layer, const void* input, int32_t* sums,
                    const ql_place* places, void* scratch, int is_backward) {
  const planes_of_layer planes = planes_of(layer);
  const size_t words = num_words(length_of(layer));
  ql_multiply_gathered(layer, input, sums, places, scratch, planes.count * words, is_backward,
                       prepare, add);
}
