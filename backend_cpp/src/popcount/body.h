// The kernel, written once over a vector type `Lanes` that each unit defines:
//
//   kWords                   words in a vector
//   zero, +                  64-bit lanes
//   load(words)              kWords words, any address
//   load_some(words, count)  fewer than that, zeros above; touches nothing behind
//   bits(x)                  bits set in each lane
//   sum(x)                   over all lanes
#pragma once

#include <cstddef>
#include <cstdint>

#include "popcount/unit.h"

namespace quantlab::popcount {
namespace {  // a copy for each unit: no symbol is shared between instruction sets

template <class Lanes>
std::int64_t count_row(const std::uint64_t* words, std::size_t num_words) {
  constexpr std::size_t kStep = Lanes::kWords;
  Lanes even = Lanes::zero();  // two sums, so that additions need not wait for one another
  Lanes odd = Lanes::zero();
  std::size_t done = 0;
  for (; done + 2 * kStep <= num_words; done += 2 * kStep) {
    even = even + bits(Lanes::load(words + done));
    odd = odd + bits(Lanes::load(words + done + kStep));
  }
  if (done + kStep <= num_words) {
    even = even + bits(Lanes::load(words + done));
    done += kStep;
  }
  if (done < num_words) odd = odd + bits(Lanes::load_some(words + done, num_words - done));
  return sum(even + odd);
}

template <class Lanes>
void popcount_over(Words words, std::int64_t* counts) {
  for (std::size_t row = 0; row < words.num_rows; ++row) {
    counts[row] = count_row<Lanes>(words.data + row * words.num_columns, words.num_columns);
  }
}

}  // namespace
}  // namespace quantlab::popcount
