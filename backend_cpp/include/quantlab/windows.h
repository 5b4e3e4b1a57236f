// Windows that slide over images. Every unit has a copy of what is here.
#pragma once

#include <cstddef>

namespace quantlab {

// Windows over images of `[N, height, width, channels]`, padded already: so many of them, and where
// the first number of each lies.
struct Windows {
  std::size_t num_rows;      // of windows, in an image
  std::size_t num_columns;   // windows in a row
  std::size_t image;         // numbers from one image to the next
  std::size_t row;           // numbers from one row of windows to the next
  std::size_t column;        // numbers from one window to the next
  const std::size_t* spans;  // where each stretch of a window begins
  std::size_t num_spans;
};

namespace {

// A window and where it begins.
class Cursor {
 public:
  Cursor(const Windows& windows, std::size_t window)
      : windows_(windows),
        column_(window % windows.num_columns),
        row_(window / windows.num_columns % windows.num_rows),
        image_(window / windows.num_columns / windows.num_rows) {}

  std::size_t place() const {
    return image_ * windows_.image + row_ * windows_.row + column_ * windows_.column;
  }

  void advance() {
    if (++column_ < windows_.num_columns) return;
    column_ = 0;
    if (++row_ < windows_.num_rows) return;
    row_ = 0;
    ++image_;
  }

  // The places of the next windows, of which `num_left` are there; beyond them the last one again.
  template <int kRows>
  void take(std::size_t num_left, std::size_t (&places)[kRows]) {
    for (int r = 0; r < kRows; ++r) {
      places[r] = place();
      if (static_cast<std::size_t>(r) + 1 < num_left) advance();
    }
  }

 private:
  const Windows& windows_;
  std::size_t column_;
  std::size_t row_;
  std::size_t image_;
};

}  // namespace
}  // namespace quantlab
