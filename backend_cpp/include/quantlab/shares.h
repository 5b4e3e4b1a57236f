// Groups of connections for several threads. Only drivers include this.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "quantlab/connections.h"

namespace quantlab {

// Where each of `count` shares of the groups begins, and the end: about as many connections each.
inline std::vector<std::size_t> shares_of(const Connections& groups, std::size_t count) {
  std::vector<std::size_t> begins{0};
  const std::int64_t total = groups.starts[groups.num_groups];
  for (std::size_t share = 1; share < count; ++share) {
    const std::int64_t wanted =
        total / static_cast<std::int64_t>(count) * static_cast<std::int64_t>(share);
    const auto* found = std::lower_bound(groups.starts, groups.starts + groups.num_groups, wanted);
    begins.push_back(std::max(begins.back(), static_cast<std::size_t>(found - groups.starts)));
  }
  begins.push_back(groups.num_groups);
  return begins;
}

}  // namespace quantlab
