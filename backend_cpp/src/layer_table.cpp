#include "quantlab/layer_table.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "quantlab/error.h"
#include "quantlab/parallel.h"

namespace quantlab {
namespace {

using factored::Pair;

constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

std::string text_of(const ImageShape& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" +
         std::to_string(shape.channels);
}

std::size_t rounded(std::size_t size) {
  constexpr std::size_t kMultiple = kAlignment / sizeof(float);
  return (size + kMultiple - 1) / kMultiple * kMultiple;
}

bool is_same(const ImageShape& a, const ImageShape& b) {
  return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

// Parts of memory in use: [begin, end), in order.
class Used {
 public:
  std::size_t take(std::size_t size) {
    std::size_t begin = 0;
    auto behind = parts_.begin();
    while (behind != parts_.end() && behind->begin - begin < size) begin = (behind++)->end;
    parts_.insert(behind, {begin, begin + size});
    most_ = std::max(most_, begin + size);
    return begin;
  }
  void give_back(std::size_t begin) {
    parts_.erase(std::find_if(parts_.begin(), parts_.end(),
                              [&](const Part& part) { return part.begin == begin; }));
  }
  std::size_t most() const { return most_; }

 private:
  struct Part {
    std::size_t begin;
    std::size_t end;
  };
  std::vector<Part> parts_;
  std::size_t most_ = 0;
};

}  // namespace

// Where each value of some images is: an input or an output of the call, or at an offset in memory.
struct LayerTable::Places {
  std::vector<const float*> inputs;  // by value; null: no input
  std::vector<float*> outputs;       // by value; null: not wanted
  std::vector<std::size_t> offsets;  // by value
  std::size_t scratch;               // offset of the steps' scratch
  std::size_t size;                  // of the memory
};

LayerTable::LayerTable(const std::vector<ImageShape>& inputs)
    : num_inputs_(inputs.size()), shapes_(inputs) {}

ImageShape LayerTable::shape(Value value) const {
  if (value < shapes_.size()) return shapes_[value];
  throw UsageError("value: " + std::to_string(value) + "; allowed is 0.." +
                   std::to_string(shapes_.size() - 1));
}

LayerTable::Value LayerTable::append(Step step, ImageShape made) {
  if (made.size() == 0) throw UsageError("x: the step makes no numbers; allowed is a larger image");
  steps_.push_back(std::move(step));
  shapes_.push_back(made);
  return shapes_.size() - 1;
}

LayerTable::Value LayerTable::convolution(ConvolutionPlan plan, Value x, const Value* residual,
                                          factored::Bounds bounds) {
  ImageShape from = shape(x);
  if (from.channels != plan->num_inputs) {
    throw UsageError("x: " + text_of(from) + "; allowed are " + std::to_string(plan->num_inputs) +
                     " channels, those of the convolution");
  }
  const Pair size = plan->geometry.outputs({from.height, from.width});
  const ImageShape made{size.rows, size.columns, plan->num_outputs};
  if (residual != nullptr && !is_same(shape(*residual), made)) {
    throw UsageError("residual: " + text_of(shape(*residual)) + "; allowed is " + text_of(made));
  }
  Step step{};
  step.kind = Kind::kConvolution;
  step.inputs = {x};
  if (residual != nullptr) step.inputs.push_back(*residual);
  step.bounds = bounds;
  step.merges_images = plan->geometry.is_pointwise();
  if (made.size() > 0) step.layout = factored::layout_of(*plan, {from.height, from.width});
  step.plan = std::move(plan);
  return append(std::move(step), made);
}

LayerTable::Value LayerTable::append_pool(Kind kind, Value x, const PoolGeometry& geometry,
                                          bool counts_padding) {
  const ImageShape from = shape(x);
  factored::Geometry windows;
  windows.kernel = geometry.kernel;
  windows.stride = geometry.stride;
  windows.padding = geometry.padding;
  const Pair made = windows.outputs({from.height, from.width});
  Step step{};
  step.kind = kind;
  step.inputs = {x};
  step.pool = geometry;
  step.counts_padding = counts_padding;
  return append(std::move(step), {made.rows, made.columns, from.channels});
}

LayerTable::Value LayerTable::max_pool(Value x, const PoolGeometry& geometry) {
  return append_pool(Kind::kMaxPool, x, geometry, false);
}

LayerTable::Value LayerTable::average_pool(Value x, const PoolGeometry& geometry,
                                           bool counts_padding) {
  return append_pool(Kind::kAveragePool, x, geometry, counts_padding);
}

LayerTable::Value LayerTable::add(Value x, Value y, factored::Bounds bounds) {
  if (!is_same(shape(x), shape(y))) {
    throw UsageError("y: " + text_of(shape(y)) + "; allowed is " + text_of(shape(x)));
  }
  Step step{};
  step.kind = Kind::kAdd;
  step.inputs = {x, y};
  step.bounds = bounds;
  return append(std::move(step), shape(x));
}

LayerTable::Value LayerTable::concatenate(const std::vector<Value>& values) {
  if (values.empty()) throw UsageError("values: none given; allowed are one or more");
  ImageShape made = shape(values[0]);
  made.channels = 0;
  for (const Value value : values) {
    const ImageShape from = shape(value);
    if (from.height != made.height || from.width != made.width) {
      throw UsageError("values: " + text_of(from) + "; allowed are images of " +
                       std::to_string(made.height) + "x" + std::to_string(made.width));
    }
    made.channels += from.channels;
  }
  Step step{};
  step.kind = Kind::kConcatenate;
  step.inputs = values;
  return append(std::move(step), made);
}

std::size_t LayerTable::num_bytes() const {
  std::vector<const factored::Plan*> plans;
  std::size_t total = 0;
  for (const Step& step : steps_) {
    if (!step.plan || std::find(plans.begin(), plans.end(), step.plan.get()) != plans.end())
      continue;
    plans.push_back(step.plan.get());
    total += step.plan->num_bytes();
  }
  return total;
}

LayerTable::Places LayerTable::places_of(const Call& call, std::size_t num_images) const {
  Places places{};
  places.inputs.assign(shapes_.size(), nullptr);
  places.outputs.assign(shapes_.size(), nullptr);
  places.offsets.assign(shapes_.size(), kNowhere);
  std::copy(call.inputs.begin(), call.inputs.end(), places.inputs.begin());
  for (std::size_t i = 0; i < call.values.size(); ++i) {
    places.outputs[call.values[i]] = call.outputs[i];
  }
  std::vector<std::size_t> last(shapes_.size(), 0);  // step that reads a value, by number from 1 on
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    for (const Value input : steps_[i].inputs) last[input] = i + 1;
  }
  Used used;
  std::size_t scratch = 0;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Value made = num_inputs_ + i;
    if (places.outputs[made] == nullptr) {
      places.offsets[made] = used.take(rounded(num_images * shapes_[made].size()));
    }
    for (Value value = num_inputs_; value <= made; ++value) {
      const bool is_over = last[value] == i + 1 || (value == made && last[value] == 0);
      if (is_over && places.offsets[value] != kNowhere) used.give_back(places.offsets[value]);
    }
    if (steps_[i].plan) scratch = std::max(scratch, steps_[i].layout.scratch);
  }
  places.scratch = used.most();
  places.size = used.most() + scratch;
  return places;
}

void LayerTable::run_some(const factored::Unit& unit, const Places& places, std::size_t first,
                          std::size_t count, float* memory) const {
  const auto result = [&](Value value) {
    return places.outputs[value] != nullptr ? places.outputs[value] + first * shapes_[value].size()
                                            : memory + places.offsets[value];
  };
  const auto input = [&](Value value) {
    return places.inputs[value] != nullptr ? places.inputs[value] + first * shapes_[value].size()
                                           : static_cast<const float*>(result(value));
  };
  float* scratch = memory + places.scratch;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const Value made = num_inputs_ + i;
    const ImageShape& from = shapes_[step.inputs[0]];
    const ImageShape& to = shapes_[made];
    const float* x = input(step.inputs[0]);
    float* out = result(made);
    switch (step.kind) {
      case Kind::kConvolution: {
        const float* residual = step.inputs.size() > 1 ? input(step.inputs[1]) : nullptr;
        factored::expand(unit, *step.plan, step.layout, scratch);
        for (std::size_t image = 0; image < count; ++image) {
          factored::convolve(unit, *step.plan, step.layout, x + image * from.size(),
                             residual == nullptr ? nullptr : residual + image * to.size(),
                             out + image * to.size(), step.bounds, 0, to.height, scratch);
        }
        break;
      }
      case Kind::kMaxPool:
      case Kind::kAveragePool:
        for (std::size_t image = 0; image < count; ++image) {
          const PoolGeometry& pool = step.pool;
          const factored::Pool task{x + image * from.size(),
                                    from.height,
                                    from.width,
                                    from.channels,
                                    pool.kernel.rows,
                                    pool.kernel.columns,
                                    pool.stride.rows,
                                    pool.stride.columns,
                                    pool.padding.rows,
                                    pool.padding.columns,
                                    to.height,
                                    to.width,
                                    step.counts_padding,
                                    out + image * to.size()};
          (step.kind == Kind::kMaxPool ? unit.max_pool : unit.average_pool)(task);
        }
        break;
      case Kind::kAdd:
        unit.add(x, input(step.inputs[1]), count * to.size(), step.bounds.low, step.bounds.high,
                 out);
        break;
      case Kind::kConcatenate: {
        std::size_t channel = 0;
        for (const Value value : step.inputs) {
          const std::size_t channels = shapes_[value].channels;
          const float* part = input(value);
          for (std::size_t pixel = 0; pixel < count * to.height * to.width; ++pixel) {
            std::memcpy(out + pixel * to.channels + channel, part + pixel * channels,
                        channels * sizeof(float));
          }
          channel += channels;
        }
        break;
      }
    }
  }
}

std::vector<LayerTable::Memory> LayerTable::take_memories(std::size_t count,
                                                          std::size_t size) const {
  std::vector<Memory> taken;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (taken.size() < count && !memories_.empty()) {
      taken.push_back(std::move(memories_.back()));
      memories_.pop_back();
    }
  }
  taken.resize(count);
  for (Memory& memory : taken) {
    if (memory.size() < size) memory = Memory(size);
  }
  return taken;
}

void LayerTable::run(const Call& call, const Run& run) const {
  const factored::Unit& unit = factored::unit_of(run.variant);
  if (call.num_images == 0) return;
  const auto threads =
      static_cast<std::size_t>(run.num_threads > 0 ? run.num_threads : max_threads());
  const std::size_t share = (call.num_images + threads - 1) / threads;
  const std::size_t at_once = std::min(call.images_at_once, share);
  const Places places = places_of(call, at_once);
  const std::size_t num_items = (call.num_images + at_once - 1) / at_once;
  std::vector<Memory> memories = take_memories(std::min(threads, num_items), places.size);
  std::mutex mutex;  // of the memories that no item uses now
  parallel_items(num_items, 1, run.num_threads, [&](std::size_t item) {
    Memory memory;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      memory = std::move(memories.back());
      memories.pop_back();
    }
    const std::size_t first = item * at_once;
    run_some(unit, places, first, std::min(at_once, call.num_images - first), memory.data());
    const std::lock_guard<std::mutex> lock(mutex);
    memories.push_back(std::move(memory));
  });
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Memory& memory : memories) memories_.push_back(std::move(memory));
}

}  // namespace quantlab
