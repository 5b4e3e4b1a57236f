// Arrays of integers of some type. Plain data without functions, for the units of every instruction
// set.
#pragma once

namespace quantlab {

enum class Kind : int { kU8, kS8, kS16, kS32 };

// A dense array of rows; each row has a number for each channel.
struct Rows {
  void* data;
  Kind kind;
};

}  // namespace quantlab
