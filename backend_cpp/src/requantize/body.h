// The kernel, written once over the `Lanes` of an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantlab/lanes/read.h"

#include "requantize/codes.h"
#include "requantize/unit.h"

namespace quantlab {
namespace {

// Shifts products of 64 bits, its constants in registers.
class Shift {
 public:
  Shift(const Codes& codes, std::size_t constant)
      : shift_(Wide::load(codes.shift + constant)),
        low_(Wide::splat(codes.low)),
        high_(Wide::splat(codes.high)) {}

  Lanes of(const Wide& value) const { return shifted(value, shift_, low_, high_); }

 private:
  Wide shift_;
  Wide low_;
  Wide high_;
};

// The same where all shifts are 32 or more: only the upper halves are shifted.
class UpperShift {
 public:
  UpperShift(const Codes& codes, std::size_t constant)
      : shift_(Lanes::load(codes.upper_shift + constant)),
        low_(Lanes::splat(static_cast<std::int32_t>(codes.low))),
        high_(Lanes::splat(static_cast<std::int32_t>(codes.high))) {}

  Lanes of(const Wide& value) const { return shifted(upper(value), shift_, low_, high_); }

 private:
  Lanes shift_;
  Lanes low_;
  Lanes high_;
};

// How 16 channels' sums become codes.
template <class End>
class Rescaling {
 public:
  Rescaling(const Codes& codes, std::size_t constant)
      : multiplier_(Lanes::load(codes.multiplier + constant)),
        offset_(Wide::load(codes.offset + constant)),
        end_(codes, constant) {}

  __attribute__((always_inline, nothrow)) Lanes of(Lanes sums, std::size_t, std::size_t) const {
    return end_.of(product(sums, multiplier_) + offset_);
  }

 private:
  Lanes multiplier_;
  Wide offset_;
  End end_;
};

// The same of two tensors.
template <class End>
class Adding {
 public:
  Adding(const Codes& codes, std::size_t constant)
      : other_(codes.other),
        multiplier_(Lanes::load(codes.multiplier + constant)),
        other_multiplier_(Lanes::load(codes.other_multiplier + constant)),
        offset_(Wide::load(codes.offset + constant)),
        end_(codes, constant) {}

  __attribute__((always_inline, nothrow)) Lanes of(Lanes sums, std::size_t at,
                                                   std::size_t count) const {
    const Wide others = product(read(other_, at, count), other_multiplier_);
    return end_.of(product(sums, multiplier_) + others + offset_);
  }

 private:
  Rows other_;
  Lanes multiplier_;
  Lanes other_multiplier_;
  Wide offset_;
  End end_;
};

// What stays as it is but for its ends.
class Clamping {
 public:
  Clamping(const Codes& codes, std::size_t)
      : low_(Lanes::splat(static_cast<std::int32_t>(codes.low))),
        high_(Lanes::splat(static_cast<std::int32_t>(codes.high))) {}

  Lanes of(Lanes sums, std::size_t, std::size_t) const {
    return shifted(sums, Lanes::zero(), low_, high_);
  }

 private:
  Lanes low_;
  Lanes high_;
};

// By counting the limits that lie below.
class Counting {
 public:
  Counting(const Codes& codes, std::size_t constant)
      : limits_(codes.limits + constant),
        num_limits_(codes.num_limits),
        stride_(codes.stride),
        base_(Lanes::load(codes.base + constant)),
        step_(Lanes::load(codes.step + constant)) {}

  __attribute__((always_inline, nothrow)) Lanes of(Lanes sums, std::size_t, std::size_t) const {
    Lanes reached = Lanes::zero();
    for (std::size_t i = 0; i < num_limits_; ++i) {
      reached = reached + above(sums, Lanes::load(limits_ + i * stride_));
    }
    return base_ + step_ * reached;
  }

 private:
  const std::int32_t* limits_;
  std::size_t num_limits_;
  std::size_t stride_;
  Lanes base_;
  Lanes step_;
};

// Some rows of up to 16 neighboring channels: where their first constant is, where the sums are and
// where the codes go, each with what lies between two rows.
struct Block {
  std::size_t num_rows;
  std::size_t count;
  std::size_t constant;
  std::size_t from;
  std::size_t from_stride;
  std::size_t to;
  std::size_t to_stride;
};

// is_whole: the sums are of 32 bits, 16 a row: no vector asks what it is.
template <class Rule, class Out, bool is_whole>
void make_rows(const Codes& codes, const Rows& sums, const Block& block) {
  const Rule rule(codes, block.constant);
  Out* out = static_cast<Out*>(codes.out.data);
  for (std::size_t row = 0; row < block.num_rows; ++row) {
    const std::size_t from = block.from + row * block.from_stride;
    const std::size_t to = block.to + row * block.to_stride;
    if constexpr (is_whole) {
      const Lanes x = Lanes::load(static_cast<const std::int32_t*>(sums.data) + from);
      rule.of(x, to, kLanes).narrow(out + to);
    } else {
      put_some(rule.of(read(sums, from, block.count), to, block.count), out + to, block.count);
    }
  }
}

template <class Rule, class Out>
void make_rows_of(const Codes& codes, const Rows& sums, const Block& block) {
  if (sums.kind == Kind::kS32 && block.count == kLanes) {
    make_rows<Rule, Out, true>(codes, sums, block);
  } else {
    make_rows<Rule, Out, false>(codes, sums, block);
  }
}

template <class Rule>
void make_codes_by(const Codes& codes, const Rows& sums, const Block& block) {
  switch (codes.out.kind) {
    case Kind::kU8:
      return make_rows_of<Rule, std::uint8_t>(codes, sums, block);
    case Kind::kS8:
      return make_rows_of<Rule, std::int8_t>(codes, sums, block);
    case Kind::kS16:
      return make_rows_of<Rule, std::int16_t>(codes, sums, block);
    default:
      return make_rows_of<Rule, std::int32_t>(codes, sums, block);
  }
}

template <class End>
void make_rescaled(const Codes& codes, const Rows& sums, const Block& block) {
  if (codes.other.data != nullptr) {
    make_codes_by<Adding<End>>(codes, sums, block);
  } else {
    make_codes_by<Rescaling<End>>(codes, sums, block);
  }
}

inline void make_codes(const Codes& codes, const Rows& sums, const Block& block) {
  if (codes.num_limits > 0) {
    make_codes_by<Counting>(codes, sums, block);
  } else if (codes.is_clamp) {
    make_codes_by<Clamping>(codes, sums, block);
  } else if (codes.upper_shift != nullptr) {
    make_rescaled<UpperShift>(codes, sums, block);
  } else {
    make_rescaled<Shift>(codes, sums, block);
  }
}

inline void requantize_rows(Rows sums, std::size_t num_channels, std::size_t begin, std::size_t end,
                            const Codes& codes) {
  constexpr std::size_t kRows = 64;  // whose numbers stay in the first cache
  for (std::size_t row = begin; row < end; row += kRows) {
    const std::size_t num_rows = end - row < kRows ? end - row : kRows;
    for (std::size_t channel = 0; channel < num_channels; channel += kLanes) {
      const std::size_t left = num_channels - channel;
      const std::size_t at = row * num_channels + channel;
      make_codes(
          codes, sums,
          {num_rows, left < kLanes ? left : kLanes, channel, at, num_channels, at, num_channels});
    }
  }
}

}  // namespace
}  // namespace quantlab
