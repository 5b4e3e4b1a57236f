// The kernel, written once over a vector type `Lanes` that each unit defines:
//
//   kCodes                     codes in a vector, one a byte, eight in each 64-bit lane
//   all(mask), &, |            64-bit lanes
//   left<n>, right<n>          shifts of 64-bit lanes
//   load, store, stream        kCodes bytes, any address (stream: a multiple of kCodes)
//   load_packed<b>(bytes)      spreads 8 * b bits into each 64-bit lane; bits above are arbitrary
//   store_packed<b>(bytes, x)  the inverse, dropping the zeros above
//   store_bits(bytes, x)       packs codes of 1 bit, for which processors have a shorter way
//   kExtent<b>                 bytes of memory that the two touch, at least kCodes * b / 8
//   fence()                    makes streamed bytes visible to other threads
//
// Eight codes of b bits fold into a 64-bit lane in three steps, each joining neighbors:
// 8 x b -> 4 x 2b -> 2 x 4b -> 1 x 8b bits; unpacking walks back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bitpack/unit.h"

namespace quantlab::bitpack {
namespace {  // a copy for each unit: no symbol is shared between instruction sets

// `count` ones, repeated every `period` bits.
constexpr std::uint64_t ones(int count, int period) {
  std::uint64_t mask = 0;
  for (int start = 0; start < 64; start += period) {
    mask |= ((std::uint64_t{1} << count) - 1) << start;
  }
  return mask;
}

constexpr std::size_t packed_size(std::size_t num_codes, int num_bits) {
  return num_codes / 8 * static_cast<std::size_t>(num_bits) +
         (num_codes % 8 * static_cast<std::size_t>(num_bits) + 7) / 8;
}

// Joins fields of kWidth bits, kUsed of them in use, pairwise.
template <int kUsed, int kWidth, class Lanes>
Lanes join(Lanes x) {
  const Lanes low = x & Lanes::all(ones(kUsed, 2 * kWidth));
  const Lanes high = x & Lanes::all(ones(kUsed, 2 * kWidth) << kWidth);
  return low | Lanes::template right<kWidth - kUsed>(high);
}

template <int kUsed, int kWidth, class Lanes>
Lanes split(Lanes x) {
  const Lanes low = x & Lanes::all(ones(kUsed, 2 * kWidth));
  const Lanes high = Lanes::template left<kWidth - kUsed>(x);
  return low | (high & Lanes::all(ones(kUsed, 2 * kWidth) << kWidth));
}

template <int kBits, class Lanes>
Lanes fold(Lanes x) {
  return join<4 * kBits, 32>(join<2 * kBits, 16>(join<kBits, 8>(x)));
}

template <int kBits, class Lanes>
Lanes unfold(Lanes x) {
  return split<kBits, 8>(split<2 * kBits, 16>(split<4 * kBits, 32>(x)));
}

template <int kBits, class Lanes>
void pack_vector(std::uint8_t* to, Lanes x) {
  if constexpr (kBits == 1) {
    Lanes::store_bits(to, x);
  } else {
    Lanes::template store_packed<kBits>(to, fold<kBits>(x));
  }
}

template <class Lanes>
std::uint8_t or_of_bytes(Lanes x) {
  std::uint8_t bytes[Lanes::kCodes];
  Lanes::store(bytes, x);
  std::uint8_t seen = 0;
  for (const std::uint8_t byte : bytes) seen |= byte;
  return seen;
}

// Whole vectors that can be read and written without touching a byte behind either view.
template <class Lanes, int kBits>
std::size_t whole_steps(std::size_t num_codes, std::size_t num_bytes) {
  constexpr std::size_t kBytes = packed_size(Lanes::kCodes, kBits);
  constexpr std::size_t kExtent = Lanes::template kExtent<kBits>;
  if (num_bytes < kExtent) return 0;
  const std::size_t by_bytes = (num_bytes - kExtent) / kBytes + 1;
  const std::size_t by_codes = num_codes / Lanes::kCodes;
  return by_codes < by_bytes ? by_codes : by_bytes;
}

template <class Lanes, int kBits>
std::uint8_t pack_all(Codes codes, Bytes packed) {
  constexpr std::size_t kStep = Lanes::kCodes;
  constexpr std::size_t kBytes = packed_size(kStep, kBits);
  const std::uint8_t* from = codes.data;
  const std::uint8_t* const end = codes.data + codes.size;
  std::uint8_t* to = packed.data;
  Lanes seen = Lanes::all(0);
#pragma GCC unroll 2
  for (std::size_t left = whole_steps<Lanes, kBits>(codes.size, packed.size); left > 0; --left) {
    const Lanes x = Lanes::load(from);
    seen = seen | x;
    pack_vector<kBits>(to, x);
    from += kStep;
    to += kBytes;
  }
  while (from < end) {  // the end, through buffers that a whole vector may touch
    const std::size_t rest = static_cast<std::size_t>(end - from);
    const std::size_t count = rest < kStep ? rest : kStep;
    std::uint8_t some_codes[kStep] = {};
    std::uint8_t some_bytes[Lanes::template kExtent<kBits>];
    __builtin_memcpy(some_codes, from, count);
    const Lanes x = Lanes::load(some_codes);
    seen = seen | x;
    pack_vector<kBits>(some_bytes, x);
    __builtin_memcpy(to, some_bytes, packed_size(count, kBits));
    from += count;
    to += packed_size(count, kBits);
  }
  return or_of_bytes(seen);
}

// Unpacks up to kCodes codes, through buffers.
template <class Lanes, int kBits>
void unpack_some(const std::uint8_t* from, std::uint8_t* to, std::size_t count) {
  std::uint8_t some_bytes[Lanes::template kExtent<kBits>] = {};
  std::uint8_t some_codes[Lanes::kCodes];
  __builtin_memcpy(some_bytes, from, packed_size(count, kBits));
  Lanes::store(some_codes, unfold<kBits>(Lanes::template load_packed<kBits>(some_bytes)));
  __builtin_memcpy(to, some_codes, count);
}

// Codes to unpack before the first address that may be streamed to; `kNever` where whole bytes of
// input do not lead there.
constexpr std::size_t kNever = ~std::size_t{0};

template <class Lanes>
std::size_t codes_before_alignment(const std::uint8_t* codes) {
  const std::size_t past = reinterpret_cast<std::uintptr_t>(codes) % Lanes::kCodes;
  const std::size_t missing = (Lanes::kCodes - past) % Lanes::kCodes;
  return missing % 8 == 0 ? missing : kNever;
}

template <class Lanes, int kBits, void kWrite(std::uint8_t*, Lanes)>
void unpack_steps(const std::uint8_t* from, std::uint8_t* to, std::size_t num_steps) {
#pragma GCC unroll 2
  for (std::size_t left = num_steps; left > 0; --left) {
    kWrite(to, unfold<kBits>(Lanes::template load_packed<kBits>(from)));
    from += packed_size(Lanes::kCodes, kBits);
    to += Lanes::kCodes;
  }
}

template <class Lanes, int kBits>
void unpack_all(Codes packed, Bytes codes, bool stream) {
  constexpr std::size_t kStep = Lanes::kCodes;
  std::size_t done = 0;
  const std::size_t missing = stream ? codes_before_alignment<Lanes>(codes.data) : kNever;
  const bool is_streamed = missing < codes.size;
  if (is_streamed) {
    unpack_some<Lanes, kBits>(packed.data, codes.data, missing);
    done = missing;
  }
  const std::size_t at = packed_size(done, kBits);
  const std::size_t num_steps = whole_steps<Lanes, kBits>(codes.size - done, packed.size - at);
  if (is_streamed) {
    unpack_steps<Lanes, kBits, &Lanes::stream>(packed.data + at, codes.data + done, num_steps);
    Lanes::fence();
  } else {
    unpack_steps<Lanes, kBits, &Lanes::store>(packed.data, codes.data, num_steps);
  }
  done += num_steps * kStep;
  while (done < codes.size) {
    const std::size_t count = codes.size - done < kStep ? codes.size - done : kStep;
    unpack_some<Lanes, kBits>(packed.data + packed_size(done, kBits), codes.data + done, count);
    done += count;
  }
}

template <class Lanes>
std::uint8_t pack_over(Codes codes, int num_bits, Bytes packed) {
  switch (num_bits) {
    case 1:
      return pack_all<Lanes, 1>(codes, packed);
    case 2:
      return pack_all<Lanes, 2>(codes, packed);
    case 3:
      return pack_all<Lanes, 3>(codes, packed);
    case 4:
      return pack_all<Lanes, 4>(codes, packed);
    case 5:
      return pack_all<Lanes, 5>(codes, packed);
    case 6:
      return pack_all<Lanes, 6>(codes, packed);
    case 7:
      return pack_all<Lanes, 7>(codes, packed);
    default:
      __builtin_memcpy(packed.data, codes.data, codes.size);
      return 0;
  }
}

template <class Lanes>
void unpack_over(Codes packed, int num_bits, Bytes codes, bool stream) {
  switch (num_bits) {
    case 1:
      return unpack_all<Lanes, 1>(packed, codes, stream);
    case 2:
      return unpack_all<Lanes, 2>(packed, codes, stream);
    case 3:
      return unpack_all<Lanes, 3>(packed, codes, stream);
    case 4:
      return unpack_all<Lanes, 4>(packed, codes, stream);
    case 5:
      return unpack_all<Lanes, 5>(packed, codes, stream);
    case 6:
      return unpack_all<Lanes, 6>(packed, codes, stream);
    case 7:
      return unpack_all<Lanes, 7>(packed, codes, stream);
    default:
      __builtin_memcpy(codes.data, packed.data, codes.size);
  }
}

}  // namespace
}  // namespace quantlab::bitpack
