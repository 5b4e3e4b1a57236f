#include "factored/factored.h"

#include <algorithm>
#include <cstring>

#include "quantlab/kernel_table.h"

namespace quantlab::factored {
namespace {

const KernelTable<Unit>& table() {
  static const KernelTable<Unit> rows{
      {Isa::kScalar, &scalar},
#if defined(QUANTLAB_X86)
      {Isa::kAvx2, &avx2},
      {Isa::kAvx512, &avx512},
#endif
  };
  return rows;
}

// What lies between the stages of a strip takes about so many numbers, of 4 bytes each.
constexpr std::size_t kStripNumbers = std::size_t{1} << 17;
constexpr std::size_t kBehind = kBlock;  // numbers that are read behind a window of channels

std::size_t divided_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

std::size_t rounded(std::size_t size) { return divided_up(size, kBlock) * kBlock; }

bool is_packed(const Unit& unit, const Packed& part) {
  return unit.pack != nullptr && !part.has_channels;
}

// One group's part of a call.
struct Call {
  const Unit& unit;
  const Plan& plan;
  const Layout& layout;
  const Stages& stages;
  std::size_t group;
  const float* x;
  const float* residual;
  float* out;
  Bounds bounds;
  float* scratch;

  const float* weights(std::size_t part) const {
    const Packed& packed = plan.parts[part];
    return packed.is_coded() || is_packed(unit, packed) ? scratch + layout.part_offsets[part]
                                                        : packed.numbers.data();
  }
};

Product unbounded() {
  Product task{};
  task.low = -__builtin_inff();
  task.high = __builtin_inff();
  return task;
}

// The stage that writes the outputs of rows from `row` on.
void write_outputs(const Call& call, std::size_t row, Product& task) {
  const std::size_t channels = call.plan.num_outputs;
  const std::size_t outputs = call.plan.group_outputs();
  const std::size_t place = row * call.layout.output.columns * channels + call.group * outputs;
  task.bias = call.stages.bias.empty() ? nullptr : call.stages.bias.data();
  task.num_outputs = outputs;
  task.residual = call.residual == nullptr ? nullptr : call.residual + place;
  task.out = call.out + place;
  task.out_row = call.layout.output.columns * channels;
  task.out_column = channels;
  task.low = call.bounds.low;
  task.high = call.bounds.high;
}

// Rows [begin, end) of the input of the middle stage, which lie in the image, to `to`.
void fill_rows(const Call& call, std::size_t begin, std::size_t end, float* to) {
  const Plan& plan = call.plan;
  const Layout& layout = call.layout;
  const std::size_t inputs = plan.group_inputs();
  const std::size_t row = layout.input.columns * plan.num_inputs;
  const float* from = call.x + begin * row + call.group * inputs;
  const std::size_t to_row = layout.middle_columns * layout.middle_channels;
  to += plan.geometry.padding.columns * layout.middle_channels;
  if (plan.num_kernels > 0) {
    const std::size_t first = 0;
    Product task = unbounded();
    task.x = from;
    task.windows = {end - begin, layout.input.columns, 0, row, plan.num_inputs, &first, 1};
    task.span = inputs;
    task.weights = call.weights(*call.stages.in);
    // What is packed comes in whole blocks.
    task.num_outputs = call.unit.pack != nullptr
                           ? layout.middle_channels
                           : base_columns(plan.num_bases, plan.num_kernels).size();
    task.out = to;
    task.out_row = to_row;
    task.out_column = layout.middle_channels;
    call.unit.multiply(task, 0, (end - begin) * layout.input.columns);
    return;
  }
  for (std::size_t i = begin; i < end; ++i) {
    if (inputs == plan.num_inputs) {
      std::memcpy(to, from, row * sizeof(float));
    } else {
      for (std::size_t column = 0; column < layout.input.columns; ++column) {
        std::memcpy(to + column * inputs, from + column * plan.num_inputs, inputs * sizeof(float));
      }
    }
    from += row;
    to += to_row;
  }
}

// The middle stage's input, of which rows [begin, end) of the padded image are in memory.
class Middle {
 public:
  explicit Middle(const Call& call)
      : call_(call),
        data_(call.scratch + call.layout.middle_offset),
        row_(call.layout.middle_columns * call.layout.middle_channels) {
    const std::size_t side = call.plan.geometry.padding.columns * call.layout.middle_channels;
    for (std::size_t row = 0; row < call.layout.middle_rows; ++row) {
      std::fill_n(data_ + row * row_, side, 0.0f);
      std::fill_n(data_ + (row + 1) * row_ - side, side, 0.0f);
    }
    std::fill_n(data_ + call.layout.middle_rows * row_, kBehind, 0.0f);
  }

  // Makes the input of rows [begin, end) of outputs.
  const float* take(std::size_t begin, std::size_t end) {
    const Geometry& geometry = call_.plan.geometry;
    const std::size_t first = begin * geometry.stride.rows;
    const std::size_t last =
        (end - 1) * geometry.stride.rows + (geometry.kernel.rows - 1) * geometry.dilation.rows + 1;
    const std::size_t kept = end_ > first && begin_ <= first ? end_ - first : 0;
    if (kept > 0) std::memmove(data_, data_ + (first - begin_) * row_, kept * row_ * sizeof(float));
    make(first, first + kept, last);
    begin_ = first;
    end_ = last;
    return data_;
  }

 private:
  // Rows [begin, end) of the padded image; `first` is the one at the start of the memory.
  void make(std::size_t first, std::size_t begin, std::size_t end) {
    const std::size_t padding = call_.plan.geometry.padding.rows;
    const std::size_t inside = std::clamp(padding, begin, end);
    const std::size_t behind = std::clamp(padding + call_.layout.input.rows, inside, end);
    std::fill_n(data_ + (begin - first) * row_, (inside - begin) * row_, 0.0f);
    if (behind > inside) {
      fill_rows(call_, inside - padding, behind - padding, data_ + (inside - first) * row_);
    }
    std::fill_n(data_ + (behind - first) * row_, (end - behind) * row_, 0.0f);
  }

  const Call& call_;
  float* data_;
  std::size_t row_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Each base, or channel, by its own kernels: those of whole blocks, then the rest.
void multiply_channels(const Call& call, Product task, std::size_t num_rows) {
  const Geometry& geometry = call.plan.geometry;
  const bool is_dense = geometry.dilation.columns == 1;
  task.run = is_dense ? geometry.kernel.columns : 1;
  task.stride = is_dense ? geometry.stride.columns : 1;
  if (call.plan.is_depthwise) return call.unit.multiply_channels(task, 0, num_rows);
  const BaseColumns columns = base_columns(call.plan.num_bases, call.plan.num_kernels);
  const std::size_t num_outputs = task.num_outputs;
  if (columns.whole > 0) {
    task.num_outputs = std::min(num_outputs, columns.whole);
    call.unit.multiply_channels(task, 0, num_rows);
  }
  if (columns.rest == 0) return;
  task.x += columns.num_kernels * columns.whole;
  task.windows.spans = call.layout.rest_spans.data();
  task.weights += columns.whole * task.windows.num_spans;
  task.num_outputs = num_outputs - columns.whole;
  task.out += columns.whole;
  if (task.bias != nullptr) task.bias += columns.whole;
  if (task.residual != nullptr) task.residual += columns.whole;
  call.unit.multiply_channels(task, 0, num_rows);
}

void run_strip(const Call& call, const float* middle, std::size_t begin, std::size_t end) {
  const Plan& plan = call.plan;
  const Layout& layout = call.layout;
  const std::size_t num_windows = (end - begin) * layout.output.columns;
  const std::size_t row = layout.middle_columns * layout.middle_channels;
  float* bases = call.scratch + layout.bases_offset;
  Product task = unbounded();
  task.x = middle;
  task.windows = {end - begin,
                  layout.output.columns,
                  0,
                  plan.geometry.stride.rows * row,
                  plan.geometry.stride.columns * layout.middle_channels,
                  layout.spans.data(),
                  layout.spans.size()};
  task.span = layout.span;
  task.weights = call.weights(call.stages.middle);
  if (call.stages.out) {
    task.num_outputs = plan.middle_width;
    task.out = bases;
    task.out_row = layout.output.columns * plan.middle_width;
    task.out_column = plan.middle_width;
  } else {
    write_outputs(call, begin, task);
  }
  if (plan.has_channels()) {
    multiply_channels(call, task, end - begin);
  } else {
    call.unit.multiply(task, 0, num_windows);
  }
  if (!call.stages.out) return;
  const std::size_t first = 0;
  Product last = unbounded();
  last.x = bases;
  last.windows = {1, num_windows, 0, 0, plan.middle_width, &first, 1};
  last.span = plan.parts[*call.stages.out].depth;
  last.weights = call.weights(*call.stages.out);
  write_outputs(call, begin, last);
  call.unit.multiply(last, 0, num_windows);
}

}  // namespace

std::vector<Isa> variants() { return runnable(table()); }

const Unit& unit_of(std::string_view variant) { return choose(table(), variant); }

std::size_t peak(std::size_t repeats, const Run& run) { return unit_of(run.variant).peak(repeats); }

Layout layout_of(const Plan& plan, Pair input) {
  const Geometry& geometry = plan.geometry;
  const std::size_t inputs = plan.group_inputs();
  Layout layout{};
  layout.input = input;
  layout.output = geometry.outputs(input);
  layout.reads_input = plan.num_kernels == 0 && geometry.padding.is(0) &&
                       (!plan.is_depthwise || plan.num_inputs % kBlock == 0);
  layout.middle_columns = input.columns + 2 * geometry.padding.columns;
  layout.middle_channels = layout.reads_input ? plan.num_inputs
                           : plan.num_kernels > 0
                               ? rounded(base_columns(plan.num_bases, plan.num_kernels).size())
                               : inputs;
  const std::size_t row = layout.middle_columns * layout.middle_channels;
  const std::size_t made = layout.output.columns * plan.middle_width;
  const std::size_t per_row = (layout.reads_input ? 0 : geometry.stride.rows * row) + made;
  const std::size_t most =
      std::max<std::size_t>(kStripNumbers / std::max<std::size_t>(per_row, 1), 1);
  const std::size_t num_strips = (layout.output.rows + most - 1) / most;
  layout.strip = (layout.output.rows + num_strips - 1) / num_strips;
  layout.middle_rows = (layout.strip - 1) * geometry.stride.rows +
                       (geometry.kernel.rows - 1) * geometry.dilation.rows + 1;
  // A row of the kernel is one span where its pixels are neighbors.
  const bool is_joined =
      !plan.has_channels() && geometry.dilation.columns == 1 && layout.middle_channels == inputs;
  const std::size_t in_row = is_joined ? 1 : geometry.kernel.columns;
  layout.span = plan.has_channels() ? 1 : is_joined ? geometry.kernel.columns * inputs : inputs;
  const auto spans_of = [&](std::size_t kernel_step) {
    std::vector<std::size_t> spans;
    for (std::size_t i = 0; i < geometry.kernel.rows; ++i) {
      for (std::size_t kernel = 0; kernel < std::max<std::size_t>(plan.num_kernels, 1); ++kernel) {
        for (std::size_t j = 0; j < in_row; ++j) {
          spans.push_back(i * geometry.dilation.rows * row + kernel * kernel_step +
                          j * geometry.dilation.columns * layout.middle_channels);
        }
      }
    }
    return spans;
  };
  const BaseColumns columns = base_columns(plan.num_bases, plan.num_kernels);
  layout.spans = spans_of(columns.whole);
  layout.rest_spans = spans_of(columns.rest);
  std::size_t used = 0;
  for (const Packed& part : plan.parts) {
    layout.part_offsets.push_back(used);
    const std::size_t halves = part.num_blocks * kBlock * divided_up(part.depth, kPackedDepth) / 2;
    used += rounded(std::max(part.is_coded() ? part.size() : 0, halves * kPackedDepth));
  }
  layout.middle_offset = used;
  if (!layout.reads_input) used += rounded(layout.middle_rows * row + kBehind);
  layout.bases_offset = used;
  if (plan.groups[0].out) used += layout.strip * made;
  layout.scratch = used;
  return layout;
}

void expand(const Unit& unit, const Plan& plan, const Layout& layout, float* scratch) {
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    const Packed& part = plan.parts[i];
    float* to = scratch + layout.part_offsets[i];
    const Codes codes{part.numbers.empty() ? nullptr : part.numbers.data(),
                      part.bytes.empty() ? nullptr : part.bytes.data(),
                      part.words.empty() ? nullptr : part.words.data(),
                      part.scales.data(),
                      part.num_blocks,
                      part.depth};
    if (is_packed(unit, part)) {
      unit.pack(codes, to);
    } else if (part.is_coded()) {
      unit.expand(codes, to);
    }
  }
}

void convolve(const Unit& unit, const Plan& plan, const Layout& layout, const float* x,
              const float* residual, float* out, Bounds bounds, std::size_t begin, std::size_t end,
              float* scratch) {
  const std::size_t row = layout.input.columns * plan.num_inputs;
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    const Call call{unit, plan,   layout, plan.groups[group], group, x, residual,
                    out,  bounds, scratch};
    if (layout.reads_input) {
      const float* from = x + group * plan.group_inputs();
      for (std::size_t strip = begin; strip < end; strip += layout.strip) {
        run_strip(call, from + strip * plan.geometry.stride.rows * row, strip,
                  std::min(strip + layout.strip, end));
      }
      continue;
    }
    Middle middle(call);
    for (std::size_t strip = begin; strip < end; strip += layout.strip) {
      const std::size_t last = std::min(strip + layout.strip, end);
      run_strip(call, middle.take(strip, last), strip, last);
    }
  }
}

}  // namespace quantlab::factored
