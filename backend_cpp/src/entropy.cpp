#include "quantlab/entropy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>

#include "quantlab/error.h"

namespace quantlab::entropy {
namespace {

using Codes = MatrixView<const std::uint8_t>;

// Probabilities have 16 bits; their logits, ln(p / (1 - p)), are in units of 1 / 256, -12 to 12.
constexpr int kOne = 1 << 16;
constexpr int kMostLogit = 12 * 256 - 1;
constexpr int kStep = 128;  // between the rows of the table

// kOne / (1 + exp(-x)) for x from -12 to 12, half a unit apart.
constexpr std::array<int, 49> kLogistic{
    0,     1,     1,     2,     3,     5,     8,     13,    22,    36,    60,    98,    162,
    267,   439,   720,   1179,  1921,  3108,  4971,  7812,  11955, 17625, 24743, 32768, 40793,
    47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476,
    65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65536};

int clamped(int x, int low, int high) { return std::min(std::max(x, low), high); }

int probability_of(int logit) {
  const int moved = clamped(logit, -kMostLogit, kMostLogit) + 12 * 256;
  const int row = moved / kStep;
  const int part = moved % kStep;
  const int p = (kLogistic[row] * (kStep - part) + kLogistic[row + 1] * part) / kStep;
  return clamped(p, 1, kOne - 1);
}

// The lowest logit of at least a probability.
std::vector<std::int16_t> logits_of_probabilities() {
  std::vector<std::int16_t> logits(kOne);
  int logit = -kMostLogit;
  for (int p = 0; p < kOne; ++p) {
    while (logit < kMostLogit && probability_of(logit) < p) ++logit;
    logits[p] = static_cast<std::int16_t>(logit);
  }
  return logits;
}

int logit_of(int probability) {
  static const std::vector<std::int16_t> logits = logits_of_probabilities();
  return logits[probability];
}

// How often a bit was 1 in some context.
struct Node {
  static constexpr int kBits = 22;
  static constexpr int kMostCounts = 1023;
  std::int32_t share = 1 << (kBits - 1);
  std::int32_t count = 0;

  int probability() const { return clamped(share >> (kBits - 16), 1, kOne - 1); }
  int logit() const { return logit_of(probability()); }
  // As if each bit had been there half a time before (R. Krichevsky, V. Trofimov, 1981), and as a
  // mean of the last ones after kMostCounts.
  void learn(int bit) {
    const std::int64_t wanted = bit ? (1 << kBits) - 1 : 0;
    share += static_cast<std::int32_t>((wanted - share) / (count + 2));
    if (count < kMostCounts) ++count;
  }
};

// The probability that the next bit of a code is 1, from the codes before it, row by row.
class Predictor {
 public:
  Predictor(std::size_t num_columns, std::size_t num_rows, int num_bits, Models models)
      : num_bits_(num_bits),
        is_mixed_(models == Models::kMixed),
        num_row_contexts_(std::min(std::max<std::size_t>(num_rows, 1), kMostLines)),
        num_column_contexts_(std::min(std::max<std::size_t>(num_columns, 1), kMostLines)),
        all_(std::size_t{1} << num_bits) {
    if (!is_mixed_) return;
    rows_.resize(num_row_contexts_ << num_bits);
    columns_.resize(num_column_contexts_ << num_bits);
    neighbors_.resize(std::size_t{kSizes * kSizes} << num_bits);
    slowness_.fill(kLeastSlowness);
    for (auto& weights : weights_) weights = {kUnit / 2, kUnit / 5, kUnit / 5, kUnit / 5};
  }

  // Neighbors: the codes to the left and above, 0 where there is none.
  void begin(std::size_t row, std::size_t column, int left, int above) {
    node_ = 1;
    depth_ = 0;
    row_base_ = (row % num_row_contexts_) << num_bits_;
    column_base_ = (column % num_column_contexts_) << num_bits_;
    neighbor_base_ = static_cast<std::size_t>(size_of(left) * kSizes + size_of(above)) << num_bits_;
  }

  int probability() {
    if (!is_mixed_) return all_[node_].probability();
    nodes_ = {&all_[node_], &rows_[row_base_ + node_], &columns_[column_base_ + node_],
              &neighbors_[neighbor_base_ + node_]};
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < kModels; ++i) {
      logits_[i] = nodes_[i]->logit();
      sum += std::int64_t{weights_[depth_][i]} * logits_[i];
    }
    return mixed_ = probability_of(static_cast<int>(std::min<std::int64_t>(
               std::max<std::int64_t>(sum / kUnit, -kMostLogit), kMostLogit)));
  }

  void learn(int bit) {
    if (is_mixed_) {
      const int error = (bit ? kOne - 1 : 0) - mixed_;
      int& slowness = slowness_[depth_];
      for (std::size_t i = 0; i < kModels; ++i) {
        const int step = logits_[i] * error / slowness;
        weights_[depth_][i] = clamped(weights_[depth_][i] + step, -kMostWeight, kMostWeight);
        nodes_[i]->learn(bit);
      }
      slowness = std::min(slowness + kSlowing, kMostSlowness);
    } else {
      all_[node_].learn(bit);
    }
    node_ = 2 * node_ + static_cast<std::size_t>(bit);
    ++depth_;
  }

 private:
  static constexpr std::size_t kModels = 4;
  static constexpr std::size_t kMostLines = 4096;
  static constexpr int kSizes = 4;
  static constexpr int kUnit = 1 << 16;
  // The mixture learns fast at first.
  static constexpr int kLeastSlowness = 1 << 13;
  static constexpr int kMostSlowness = 1 << 16;
  static constexpr int kSlowing = 32;
  static constexpr int kMostWeight = 64 * kUnit;

  // Codes stand in the order 0, -1, 1, -2, 2, ...: pairs are of one size.
  static int size_of(int code) { return std::min((code + 1) / 2, kSizes - 1); }

  int num_bits_;
  bool is_mixed_;
  std::size_t num_row_contexts_;
  std::size_t num_column_contexts_;
  std::vector<Node> all_;
  std::vector<Node> rows_;
  std::vector<Node> columns_;
  std::vector<Node> neighbors_;
  std::array<std::array<std::int32_t, kModels>, 8> weights_{};
  std::array<Node*, kModels> nodes_{};
  std::array<int, kModels> logits_{};
  std::array<int, 8> slowness_{};
  int mixed_ = 0;
  std::size_t node_ = 1;
  std::size_t depth_ = 0;
  std::size_t row_base_ = 0;
  std::size_t column_base_ = 0;
  std::size_t neighbor_base_ = 0;
};

// The interval of numbers that begin as the stream does, of 64 bits; a bit takes its share.
struct Interval {
  std::uint64_t low = 0;
  std::uint64_t high = ~std::uint64_t{0};

  // The last number of the share of 1.
  std::uint64_t split(int probability) const {
    return low + ((high - low) >> 16) * static_cast<std::uint64_t>(probability);
  }
  void take(int bit, std::uint64_t middle) { (bit ? high : low) = bit ? middle : middle + 1; }
  bool has_byte() const { return (low ^ high) >> 56 == 0; }
  void drop_byte() {
    low <<= 8;
    high = high << 8 | 0xff;
  }
  // The shortest bytes which, with zeros behind them, are a number of it: how many, and that
  // number.
  int end(std::uint64_t& number) const {
    for (int count = 0; count < 8; ++count) {
      const std::uint64_t mask = count == 0 ? ~std::uint64_t{0} : ~std::uint64_t{0} >> 8 * count;
      if (low > ~mask && (low & mask) != 0) continue;  // rounding up leaves 64 bits
      number = (low + mask) & ~mask;
      if (count == 0 && low != 0) continue;
      if (number <= high) return count;
    }
    number = low;
    return 8;
  }
};

class Writer {
 public:
  int code(int bit, int probability) {
    interval_.take(bit, interval_.split(probability));
    for (; interval_.has_byte(); interval_.drop_byte()) {
      bytes_.push_back(static_cast<std::uint8_t>(interval_.low >> 56));
    }
    return bit;
  }

  std::vector<std::uint8_t> finish() {
    std::uint64_t number = 0;
    const int count = interval_.end(number);
    for (int i = 0; i < count; ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(number >> (56 - 8 * i)));
    }
    return std::move(bytes_);
  }

 private:
  Interval interval_;
  std::vector<std::uint8_t> bytes_;
};

class Reader {
 public:
  explicit Reader(View<const std::uint8_t> bytes) : bytes_(bytes) {
    for (int i = 0; i < 8; ++i) number_ = number_ << 8 | byte(static_cast<std::size_t>(i));
  }

  int code(int, int probability) {
    const std::uint64_t middle = interval_.split(probability);
    const int bit = number_ <= middle ? 1 : 0;
    interval_.take(bit, middle);
    for (; interval_.has_byte(); interval_.drop_byte()) {
      if (++num_dropped_ > bytes_.size) throw UsageError("bytes: cut off; allowed is all of them");
      number_ = number_ << 8 | byte(num_dropped_ + 7);
    }
    return bit;
  }

  // Raises UsageError unless the bytes end where those of these codes do.
  void finish() const {
    std::uint64_t number = 0;
    const auto count = static_cast<std::size_t>(interval_.end(number));
    if (num_dropped_ + count != bytes_.size || number_ != number) {
      throw UsageError("bytes: those of other codes, or damaged; allowed is what encoding gave");
    }
  }

 private:
  std::uint64_t byte(std::size_t place) const {
    return place < bytes_.size ? bytes_.data[place] : 0;
  }

  View<const std::uint8_t> bytes_;
  Interval interval_;
  std::uint64_t number_ = 0;
  std::size_t num_dropped_ = 0;
};

// Codes all codes of a matrix: each bit as `coder` says, given the one that stands there.
template <class Coder, class Code>
void run(MatrixView<Code> codes, int num_bits, Models models, Coder& coder) {
  Predictor predictor(codes.num_columns, codes.num_rows, num_bits, models);
  for (std::size_t row = 0; row < codes.num_rows; ++row) {
    Code* line = codes.data + row * codes.num_columns;
    for (std::size_t column = 0; column < codes.num_columns; ++column) {
      const int left = column > 0 ? line[column - 1] : 0;
      const int above = row > 0 ? line[column - codes.num_columns] : 0;
      predictor.begin(row, column, left, above);
      int code = 0;
      for (int place = num_bits - 1; place >= 0; --place) {
        const int given = std::is_const_v<Code> ? line[column] >> place & 1 : 0;
        const int bit = coder.code(given, predictor.probability());
        predictor.learn(bit);
        code = 2 * code + bit;
      }
      if constexpr (!std::is_const_v<Code>) line[column] = static_cast<std::uint8_t>(code);
    }
  }
}

}  // namespace

std::vector<std::uint8_t> encode(Codes codes, int num_bits, Models models) {
  const std::size_t size = codes.num_rows * codes.num_columns;
  for (std::size_t i = 0; i < size; ++i) {
    if (codes.data[i] >> num_bits != 0) {
      throw UsageError("codes[" + std::to_string(i) + "]: " + std::to_string(codes.data[i]) +
                       " does not fit; allowed for num_bits=" + std::to_string(num_bits) +
                       " is 0.." + std::to_string((1 << num_bits) - 1));
    }
  }
  Writer writer;
  run(codes, num_bits, models, writer);
  return writer.finish();
}

void decode(View<const std::uint8_t> bytes, int num_bits, Models models,
            MatrixView<std::uint8_t> codes) {
  Reader reader(bytes);
  run(codes, num_bits, models, reader);
  reader.finish();
}

}  // namespace quantlab::entropy
