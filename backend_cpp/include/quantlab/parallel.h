// Work split over OpenMP threads. Only a kernel's driver includes this; units of an instruction set
// know nothing of threads.
#pragma once

#include <algorithm>
#include <cstddef>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace quantlab {

// What `num_threads = 0` means: torch's number where torch is loaded, for both use one runtime.
inline int max_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

struct Split {
  std::size_t multiple;  // ranges begin at multiples of this
  std::size_t min_size;  // no thread gets fewer items than this
};

// Calls `body(begin, end)` for contiguous ranges that cover [0, size), on at most `num_threads`
// threads (0: `max_threads()`). One range runs on the calling thread without entering OpenMP, which
// also keeps small calls safe after a fork.
template <class Body>
void parallel_ranges(std::size_t size, const Split& split, int num_threads, const Body& body) {
  const std::size_t wanted =
      static_cast<std::size_t>(num_threads > 0 ? num_threads : max_threads());
  const std::size_t num_ranges =
      std::clamp<std::size_t>(size / split.min_size, 1, std::max<std::size_t>(wanted, 1));
  if (num_ranges == 1) {
    body(std::size_t{0}, size);
    return;
  }
  const std::size_t share = (size + num_ranges - 1) / num_ranges;
  const std::size_t step = (share + split.multiple - 1) / split.multiple * split.multiple;
#if defined(_OPENMP)
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(num_ranges))
#endif
  for (std::size_t range = 0; range < num_ranges; ++range) {
    const std::size_t begin = std::min(range * step, size);
    const std::size_t end = std::min(begin + step, size);
    if (begin < end) body(begin, end);
  }
}

// Calls `body(item)` for each of [0, count), on at most `num_threads` threads that take the next
// item when they are done with one; with fewer than `least` items for each there are fewer threads.
template <class Body>
void parallel_items(std::size_t count, std::size_t least, int num_threads, const Body& body) {
  const std::size_t wanted =
      static_cast<std::size_t>(num_threads > 0 ? num_threads : max_threads());
  const std::size_t num_used =
      std::clamp<std::size_t>(count / least, 1, std::max<std::size_t>(wanted, 1));
  if (num_used == 1) {
    for (std::size_t item = 0; item < count; ++item) body(item);
    return;
  }
#if defined(_OPENMP)
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(num_used))
#endif
  for (std::size_t item = 0; item < count; ++item) body(item);
}

// One of the threads that go through the same steps.
struct Member {
  std::size_t index;
  std::size_t count;

  // The part of `size` items that is this member's: [begin, end).
  std::size_t begin(std::size_t size) const { return size * index / count; }
  std::size_t end(std::size_t size) const { return size * (index + 1) / count; }

  // Waits until all members are here.
  void meet() const {
#if defined(_OPENMP)
    if (count > 1) {
#pragma omp barrier
    }
#endif
  }
};

// Calls `body(member)` on each of up to `num_threads` threads at the same time.
template <class Body>
void parallel_members([[maybe_unused]] std::size_t num_threads, const Body& body) {
#if defined(_OPENMP)
  if (num_threads > 1) {
#pragma omp parallel num_threads(static_cast<int>(num_threads))
    body(Member{static_cast<std::size_t>(omp_get_thread_num()),
                static_cast<std::size_t>(omp_get_num_threads())});
    return;
  }
#endif
  body(Member{0, 1});
}

}  // namespace quantlab
