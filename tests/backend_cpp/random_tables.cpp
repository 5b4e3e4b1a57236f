// Random layer tables of one step, each by every instruction set and number of threads; for
// sanitizers. The first argument says how many. Wrong results end the program with code 1.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "factored_bf16/factored_bf16.h"
#include "quantlab/layer_table.h"

namespace {

using quantlab::ImageShape;
using quantlab::LayerTable;
using quantlab::factored::Factor;
using quantlab::factored::Geometry;
using quantlab::factored::Plan;

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  std::size_t from(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  std::vector<float> numbers(std::size_t count) {
    std::vector<float> made(count);
    for (float& number : made) number = std::normal_distribution<float>()(engine_);
    return made;
  }
  std::vector<std::int8_t> codes(std::size_t count) {
    std::vector<std::int8_t> made(count);
    for (std::int8_t& code : made) code = static_cast<std::int8_t>(from(0, 14)) - 7;
    return made;
  }

 private:
  std::mt19937 engine_;
};

// Owns what a factor points at.
struct Weights {
  std::vector<float> numbers;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;

  Weights(Random& random, std::size_t count) {
    if (random.from(0, 1) == 0) {
      numbers = random.numbers(count);
    } else {
      codes = random.codes(count);
      scales = {0.1f};
    }
  }
  Factor factor() const {
    return {numbers.empty() ? nullptr : numbers.data(), codes.empty() ? nullptr : codes.data(),
            nullptr, scales.data(), scales.size()};
  }
};

Plan random_plan(Random& random) {
  Geometry geometry;
  geometry.kernel = {random.from(1, 4), random.from(1, 4)};
  geometry.stride = {random.from(1, 2), random.from(1, 2)};
  geometry.padding = {random.from(0, 2), random.from(0, 2)};
  geometry.dilation = {random.from(1, 2), random.from(1, 2)};
  geometry.num_groups = random.from(1, 3);
  std::size_t inputs = random.from(1, 40);
  std::size_t outputs = random.from(1, 70);
  const bool is_depthwise = random.from(0, 3) == 0;
  if (is_depthwise) {
    geometry.num_groups = random.from(2, 40);
    inputs = outputs = 1;
  }
  outputs *= geometry.num_groups;
  const std::size_t all_inputs = inputs * geometry.num_groups;
  const std::size_t area = geometry.kernel.rows * geometry.kernel.columns;
  const std::vector<float> bias = random.numbers(outputs);
  const bool has_in = random.from(0, 2) > 0;
  const bool has_out = random.from(0, 2) > 0;
  if (is_depthwise || (!has_in && !has_out)) {
    const Weights weight(random, outputs * inputs * area);
    return quantlab::factored::dense_plan(weight.factor(), bias.data(), all_inputs, outputs,
                                          geometry);
  }
  const std::size_t bases = has_out ? random.from(1, 50) : outputs;
  const std::size_t kernels = has_in ? random.from(1, 3) : inputs;
  const Weights basis(random, bases * kernels * area);
  const Weights in(random, bases * inputs * kernels);
  const Weights out(random, outputs * bases);
  const Factor coeff_in = in.factor();
  const Factor coeff_out = out.factor();
  return quantlab::factored::factored_plan({basis.factor(), has_in ? &coeff_in : nullptr,
                                            has_out ? &coeff_out : nullptr, bases, kernels},
                                           bias.data(), all_inputs, outputs, geometry);
}

bool is_close(const std::vector<float>& a, const std::vector<float>& b, double error) {
  if (a.size() != b.size()) return false;
  double largest = 1;
  for (const float number : a) largest = std::fmax(largest, std::fabs(number));
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::fabs(a[i] - b[i]) <= error * largest)) return false;
  }
  return true;
}

bool check(unsigned seed) {
  Random random(seed);
  const auto plan = std::make_shared<const Plan>(random_plan(random));
  const ImageShape shape{random.from(8, seed % 8 == 0 ? 700 : 20), random.from(8, 20),
                         plan->num_inputs};
  LayerTable table({shape});
  const LayerTable::Value first = table.convolution(plan, 0, nullptr, {-1.0f, 1.0f});
  const LayerTable::Value last = table.convolution(plan, 0, &first, {0.0f, 1e9f});
  const std::size_t num_images = random.from(1, 3);
  const std::vector<float> x = random.numbers(num_images * shape.size());
  // What all numbers of threads make; none if they differ.
  const auto computed = [&](const quantlab::factored::Unit& unit) {
    std::vector<float> alone;
    for (const int num_threads : {1, 2, 4}) {
      std::vector<float> out(num_images * table.shape(last).size(), NAN);
      table.run({{x.data()}, {last}, {out.data()}, num_images, random.from(1, 3)}, unit,
                num_threads);
      if (num_threads > 1 && out != alone) return std::vector<float>{};
      alone = out;
    }
    return alone;
  };
  const std::vector<float> expected = computed(quantlab::factored::unit_of("scalar"));
  for (const quantlab::Isa isa : quantlab::factored::variants()) {
    const auto& unit = quantlab::factored::unit_of(quantlab::name(isa));
    if (!is_close(expected, computed(unit), 1e-5)) return false;
  }
  for (const quantlab::Isa isa : quantlab::factored_bf16::variants()) {
    const auto& unit = quantlab::factored_bf16::unit_of(quantlab::name(isa));
    if (!is_close(expected, computed(unit), 0.05)) return false;
  }
  return true;
}

}  // namespace

int main(int, char** arguments) {
  const auto count = static_cast<unsigned>(std::atoi(arguments[1]));
  for (unsigned seed = 0; seed < count; ++seed) {
    if (check(seed)) continue;
    std::printf("seed %u: wrong\n", seed);
    return 1;
  }
  return 0;
}
