/* Products of inputs and weights of few bits, by counting the bits that they have in common. */
#ifndef QL_BITS_H
#define QL_BITS_H

#include "gathered.h"

enum { QL_WORD_BITS = 32 };

/* Bit `bit` of each byte, in words; behind the last byte 0. Input 4 i + j of a word has its bit
   8 j + i, so that four bytes are taken at once. */
void ql_pack_bits(const uint8_t* bytes, size_t count, uint8_t bit, uint32_t* words);

/* How many bits two rows of words have in common. */
uint32_t ql_count_common(const uint32_t* x, const uint32_t* weights, size_t num_words);

/* Of inputs of 8 bits, signed or not. A weight is 1 - 2 * bit, or bit 0 - 2 * bit 1 where it has
   two. The weights of a layer begin with a word that says how it is counted: the first of the
   inputs' bits that are planes, and from its 8th bit on their count, from its 16th on whether the
   last one is the sign, from its 24th on the bits of a weight. Then, output by output, plane by
   plane, the words of a group of a window. */
ql_product_function ql_bit_product;

#endif
