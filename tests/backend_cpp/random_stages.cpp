// Random stages of convolutions, each by every instruction set and number of threads; for
// sanitizers. The first argument says how many. Results that differ end the program with code 1.

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "convolve_stages/convolve_stages.h"

namespace {

using quantlab::Codes;
using quantlab::Kind;
using quantlab::convolve_stages::Point;
using quantlab::convolve_stages::Task;

constexpr std::size_t kLanes = 16;

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  std::size_t from(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  template <class T>
  std::vector<T> numbers(std::size_t count, int low = -100, int high = 100) {
    std::vector<T> made(count);
    for (T& number : made) {
      number = static_cast<T>(std::uniform_int_distribution<int>(low, high)(engine_));
    }
    return made;
  }

 private:
  std::mt19937 engine_;
};

std::size_t whole(std::size_t count, std::size_t part) { return (count + part - 1) / part * part; }

// Weights of bytes or words, and biases: as many as a kernel may read, and no more.
struct Layer {
  std::vector<std::int8_t> bytes;
  std::vector<std::int16_t> words;
  std::vector<std::int32_t> bias;
  std::size_t num_chunks;

  Layer(Random& random, std::size_t num_inputs, std::size_t num_places, bool is_words) {
    const std::size_t chunk = is_words ? 2 : 4;
    num_chunks = whole(num_inputs, chunk) / chunk;
    const std::size_t size = num_places * num_chunks * chunk;
    if (is_words) {
      words = random.numbers<std::int16_t>(size);
    } else {
      bytes = random.numbers<std::int8_t>(size);
    }
    bias = random.numbers<std::int32_t>(num_places);
  }
  Point point() const {
    return {words.empty() ? static_cast<const void*>(bytes.data()) : words.data(), bias.data(),
            bias.size() / kLanes, num_chunks};
  }
};

bool check(unsigned seed) {
  Random random(seed);
  Task task{};
  task.is_words = random.from(0, 1) == 0;
  task.channels = random.from(1, 20);
  task.has_kernels = random.from(0, 2) != 0;
  task.has_exit = !task.has_kernels || random.from(0, 1) == 0;
  task.entry_shift = static_cast<int>(random.from(0, 9));
  task.kernel_shift = static_cast<int>(random.from(0, 9));
  const std::size_t bases = random.from(1, 40);
  const std::size_t pairs = task.has_kernels ? random.from(1, 2) : 1;
  const std::size_t places = whole(bases, kLanes);
  std::size_t size[2];
  std::size_t dilation[2];
  std::size_t after[2];
  for (int i = 0; i < 2; ++i) {
    size[i] = task.has_kernels ? random.from(1, 3) : 1;
    dilation[i] = random.from(1, 2);
    task.kernels.stride[i] = random.from(1, 2);
    task.kernels.before[i] = task.has_kernels ? random.from(0, 2) : 0;
    after[i] = task.has_kernels ? random.from(0, 2) : 0;
  }
  const std::size_t reach[2] = {(size[0] - 1) * dilation[0] + 1, (size[1] - 1) * dilation[1] + 1};
  task.height = reach[0] + random.from(0, seed % 8 == 0 ? 300 : 20);
  task.width = reach[1] + random.from(0, 20);
  task.padded_width = task.kernels.before[1] + task.width + after[1];
  const std::size_t padded = task.kernels.before[0] + task.height + after[0];
  task.num_rows = (padded - reach[0]) / task.kernels.stride[0] + 1;
  task.num_columns = (task.padded_width - reach[1]) / task.kernels.stride[1] + 1;

  const std::size_t columns = task.has_kernels ? 2 * pairs * places : places;
  const Layer entry(random, task.channels, columns, task.is_words);
  task.entry = entry.point();
  std::vector<std::size_t> taps;
  for (std::size_t i = 0; i < size[0]; ++i) {
    for (std::size_t j = 0; j < size[1]; ++j) {
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t place = i * dilation[0] * task.padded_width + j * dilation[1];
        taps.push_back(place * columns + 2 * pair * places);
      }
    }
  }
  const auto kernels = random.numbers<std::int16_t>(2 * places * taps.size());
  const auto kernel_bias = random.numbers<std::int32_t>(places);
  task.kernels.weights = kernels.data();
  task.kernels.bias = kernel_bias.data();
  task.kernels.num_blocks = places / kLanes;
  task.kernels.num_pairs = pairs;
  task.kernels.taps = taps.data();
  task.kernels.num_taps = taps.size();
  task.kernels.has_neighbors =
      size[1] == 3 && pairs == 1 && dilation[1] == 1 && task.kernels.stride[1] == 1;
  task.kernels.reach = reach[0];
  task.num_outputs = task.has_exit ? random.from(1, 90) : bases;
  const Layer exit(random, bases, whole(task.num_outputs, kLanes), true);
  task.exit = exit.point();

  const std::size_t num_images = random.from(1, 3);
  const std::size_t numbers = num_images * task.height * task.width * task.channels;
  const std::size_t read = numbers - task.channels + whole(task.channels, task.is_words ? 2 : 4);
  const auto bytes = random.numbers<std::uint8_t>(task.is_words ? 0 : read, 0, 255);
  const auto words = random.numbers<std::int16_t>(task.is_words ? read : 0, -30000, 30000);
  task.x = task.is_words ? static_cast<const void*>(words.data()) : bytes.data();
  std::vector<std::int32_t> expected;
  for (const quantlab::Isa isa : quantlab::convolve_stages::variants()) {
    for (const int num_threads : {1, 2, 4}) {
      std::vector<std::int32_t> sums(num_images * task.num_rows * task.num_columns *
                                     task.num_outputs);
      task.results = {sums.data(), nullptr, 0};
      quantlab::convolve_stages::convolve(task, num_images, {quantlab::name(isa), num_threads});
      if (expected.empty()) expected = sums;
      if (sums != expected) return false;
    }
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
