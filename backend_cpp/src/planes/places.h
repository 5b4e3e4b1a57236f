// Where numbers of a sample lie, one after another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "planes/unit.h"

namespace quantlab::planes {
namespace {

// Where a number of a sample lies, in rows of B; below zero: nowhere.
template <class Number>
class Places {
 public:
  Places(const Task<Number>& task, std::size_t number)
      : task_(task), channel_(number / task.channel), within_(number % task.channel) {}

  std::int64_t next() {
    const std::int64_t place = task_.places[within_];
    const std::int64_t found =
        place < 0 ? place : place + static_cast<std::int64_t>(channel_ * task_.step);
    if (++within_ == task_.channel) {
      within_ = 0;
      ++channel_;
    }
    return found;
  }

 private:
  const Task<Number>& task_;
  std::size_t channel_;
  std::size_t within_;
};

}  // namespace
}  // namespace quantlab::planes
