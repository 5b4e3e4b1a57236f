// The nonzero weights of a layer, and planes of numbers that they connect. Plain data without
// functions, for the units of every instruction set.
//
// Planes have the batch innermost, `[planes][rows][columns][B]`. Whatever a weight connects is a
// fixed number of places apart, the same for all neighbors of a row: so a weight is one offset, and
// a layer is products of numbers with stretches of memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quantlab {

// Those of a group, an output row or an input plane, follow one another.
struct Connections {
  const std::int64_t* starts;   // of each group, and behind the last
  const std::int32_t* offsets;  // of each connection, in numbers
  std::size_t num_groups;
};

// Rows of a plane's numbers: where each begins is `step` numbers from the one before.
struct Lines {
  std::size_t count;
  std::size_t length;
  std::size_t step;
};

// Where a plane's lines lie in an array.
struct Plane {
  std::size_t begin;  // of the first line
  Lines lines;
};

}  // namespace quantlab
