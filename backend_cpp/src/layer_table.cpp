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

// A number that no size in memory comes near.
constexpr double kMostNumbers = 1e12;

// The windows over an image, one or more.
Pair outputs_of(const factored::Geometry& windows, const ImageShape& from) {
  const Pair made = windows.outputs({from.height, from.width});
  if (made.rows > 0 && made.columns > 0) return made;
  const auto least = [](std::size_t kernel, std::size_t dilation, std::size_t padding) {
    const std::size_t reach = dilation * (kernel - 1) + 1;
    return std::to_string(std::max<std::size_t>(reach - std::min(reach, 2 * padding), 1));
  };
  throw UsageError(
      "x: " + text_of(from) + "; allowed are images of " +
      least(windows.kernel.rows, windows.dilation.rows, windows.padding.rows) + "x" +
      least(windows.kernel.columns, windows.dilation.columns, windows.padding.columns) +
      " and more for the kernel");
}

// So that no size of memory wraps around.
void require_size(const factored::Plan& plan, const ImageShape& from) {
  const Pair& padding = plan.geometry.padding;
  const double rows = static_cast<double>(from.height) + 2.0 * static_cast<double>(padding.rows);
  const double columns =
      static_cast<double>(from.width) + 2.0 * static_cast<double>(padding.columns);
  const double channels = static_cast<double>(plan.num_inputs) +
                          static_cast<double>(plan.num_outputs) +
                          static_cast<double>((plan.num_kernels + 1) * plan.middle_width);
  if (rows * columns * channels < kMostNumbers) return;
  throw UsageError("padding: makes more than 10^12 numbers; allowed are fewer");
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
  std::size_t scratch;               // offset of the steps' scratch, one for each member
  std::size_t scratch_size;

  std::size_t size(std::size_t num_members) const { return scratch + num_members * scratch_size; }
};

LayerTable::LayerTable(const std::vector<ImageShape>& inputs)
    : num_inputs_(inputs.size()), shapes_(inputs) {}

ImageShape LayerTable::shape(Value value) const {
  if (value < shapes_.size()) return shapes_[value];
  throw UsageError("value: " + std::to_string(value) + "; allowed is 0.." +
                   std::to_string(shapes_.size() - 1));
}

LayerTable::Value LayerTable::append(Step step, ImageShape made) {
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
  const Pair size = outputs_of(plan->geometry, from);
  require_size(*plan, from);
  const ImageShape made{size.rows, size.columns, plan->num_outputs};
  if (residual != nullptr && !is_same(shape(*residual), made)) {
    throw UsageError("residual: " + text_of(shape(*residual)) + "; allowed is " + text_of(made));
  }
  Step step{};
  step.kind = Kind::kConvolution;
  step.inputs = {x};
  if (residual != nullptr) step.inputs.push_back(*residual);
  step.bounds = bounds;
  step.layout = factored::layout_of(*plan, {from.height, from.width});
  step.merges_images = plan->geometry.is_pointwise() && step.layout.reads_input;
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
  const Pair made = outputs_of(windows, from);
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

std::size_t LayerTable::num_bytes_read() const {
  std::size_t total = 0;
  for (const Step& step : steps_) total += step.plan ? step.plan->num_bytes() : 0;
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
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Value made = num_inputs_ + i;
    if (places.outputs[made] == nullptr) {
      places.offsets[made] = used.take(rounded(num_images * shapes_[made].size()));
    }
    for (Value value = num_inputs_; value <= made; ++value) {
      const bool is_over = last[value] == i + 1 || (value == made && last[value] == 0);
      if (is_over && places.offsets[value] != kNowhere) used.give_back(places.offsets[value]);
    }
    places.scratch_size = std::max(places.scratch_size, steps_[i].layout.scratch);
  }
  places.scratch = used.most();
  return places;
}

// Of the images of a step.
struct LayerTable::Arrays {
  std::size_t num_images;
  std::vector<const float*> inputs;  // like the step's
  std::vector<ImageShape> shapes;    // of them
  float* out;
  ImageShape made;
  float* scratch;
};

void LayerTable::run_some(const factored::Unit& unit, const Places& places, const Images& images,
                          float* memory, const Member& member) const {
  const auto result = [&](Value value) {
    return places.outputs[value] != nullptr
               ? places.outputs[value] + images.first * shapes_[value].size()
               : memory + places.offsets[value];
  };
  Arrays arrays{};
  arrays.num_images = images.count;
  arrays.scratch = memory + places.scratch + member.index * places.scratch_size;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    arrays.inputs.clear();
    arrays.shapes.clear();
    for (const Value value : steps_[i].inputs) {
      const float* given = places.inputs[value];
      arrays.inputs.push_back(given == nullptr ? result(value)
                                               : given + images.first * shapes_[value].size());
      arrays.shapes.push_back(shapes_[value]);
    }
    arrays.out = result(num_inputs_ + i);
    arrays.made = shapes_[num_inputs_ + i];
    run_step(unit, steps_[i], arrays, member);
    member.meet();
  }
}

void LayerTable::run_step(const factored::Unit& unit, const Step& step, const Arrays& arrays,
                          const Member& member) const {
  const ImageShape& from = arrays.shapes[0];
  const ImageShape& made = arrays.made;
  const float* x = arrays.inputs[0];
  switch (step.kind) {
    case Kind::kConvolution: {
      factored::expand(unit, *step.plan, step.layout, arrays.scratch);
      const float* residual = arrays.inputs.size() > 1 ? arrays.inputs[1] : nullptr;
      const std::size_t count = step.merges_images ? 1 : arrays.num_images;
      const std::size_t rows = made.height * (step.merges_images ? arrays.num_images : 1);
      for (std::size_t image = 0; image < count; ++image) {
        factored::convolve(unit, *step.plan, step.layout, x + image * from.size(),
                           residual == nullptr ? nullptr : residual + image * made.size(),
                           arrays.out + image * made.size(), step.bounds, member.begin(rows),
                           member.end(rows), arrays.scratch);
      }
      return;
    }
    case Kind::kMaxPool:
    case Kind::kAveragePool: {
      const PoolGeometry& pool = step.pool;
      const auto run = step.kind == Kind::kMaxPool ? unit.max_pool : unit.average_pool;
      for (std::size_t image = 0; image < arrays.num_images; ++image) {
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
                                  made.width,
                                  step.counts_padding,
                                  arrays.out + image * made.size()};
        run(task, member.begin(made.height), member.end(made.height));
      }
      return;
    }
    case Kind::kAdd: {
      const std::size_t size = arrays.num_images * made.size();
      const std::size_t begin = member.begin(size);
      unit.add(x + begin, arrays.inputs[1] + begin, member.end(size) - begin, step.bounds.low,
               step.bounds.high, arrays.out + begin);
      return;
    }
    case Kind::kConcatenate: {
      const std::size_t pixels = arrays.num_images * made.height * made.width;
      std::size_t channel = 0;
      for (std::size_t i = 0; i < arrays.inputs.size(); ++i) {
        const std::size_t channels = arrays.shapes[i].channels;
        for (std::size_t pixel = member.begin(pixels); pixel < member.end(pixels); ++pixel) {
          std::memcpy(arrays.out + pixel * made.channels + channel,
                      arrays.inputs[i] + pixel * channels, channels * sizeof(float));
        }
        channel += channels;
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

void LayerTable::keep_memories(std::vector<Memory> memories) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Memory& memory : memories) memories_.push_back(std::move(memory));
}

void LayerTable::run(const Call& call, const factored::Unit& unit, int num_threads) const {
  if (call.num_images == 0) return;
  const auto threads = static_cast<std::size_t>(num_threads > 0 ? num_threads : max_threads());
  const std::size_t share = (call.num_images + threads - 1) / threads;
  const std::size_t at_once = std::min(call.images_at_once, share);
  const Places places = places_of(call, at_once);
  if (call.num_images < threads) {  // threads share the rows of an image
    const auto tallest = [](const ImageShape& a, const ImageShape& b) {
      return a.height < b.height;
    };
    const std::size_t rows = std::max_element(shapes_.begin(), shapes_.end(), tallest)->height;
    const std::size_t num_members = std::min(threads, rows);
    std::vector<Memory> memories = take_memories(1, places.size(num_members));
    parallel_members(num_members, [&](const Member& member) {
      for (std::size_t image = 0; image < call.num_images; ++image) {
        run_some(unit, places, {image, 1}, memories[0].data(), member);
      }
    });
    return keep_memories(std::move(memories));
  }
  const std::size_t num_items = (call.num_images + at_once - 1) / at_once;
  std::vector<Memory> memories = take_memories(std::min(threads, num_items), places.size(1));
  std::mutex mutex;  // of the memories that no item uses now
  parallel_items(num_items, 1, num_threads, [&](std::size_t item) {
    Memory memory;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      memory = std::move(memories.back());
      memories.pop_back();
    }
    const std::size_t first = item * at_once;
    const Images images{first, std::min(at_once, call.num_images - first)};
    run_some(unit, places, images, memory.data(), {0, 1});
    const std::lock_guard<std::mutex> lock(mutex);
    memories.push_back(std::move(memory));
  });
  keep_memories(std::move(memories));
}

}  // namespace quantlab
