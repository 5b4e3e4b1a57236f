#include "walk.h"

const void* ql_move_threshold(const void* constants, const uint32_t* steps, const uint16_t* at,
                              uint8_t axes, ql_moved* moved) {
  ql_threshold* threshold = &moved->threshold;
  *threshold = *(const ql_threshold*)constants;
  const size_t channel = ql_row_place(steps, at, axes);
  threshold->thresholds.at = (const int64_t*)threshold->thresholds.at + channel * threshold->levels;
  threshold->inverted.at += channel;
  return threshold;
}
