// A network of real numbers as a table of steps over numbered values, images with their channels
// last. One driver walks it: a few images go through all steps before the next ones do, so that
// what lies between the steps stays in the caches.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "factored/factored.h"
#include "quantlab/parallel.h"

namespace quantlab {

struct ImageShape {
  std::size_t height;
  std::size_t width;
  std::size_t channels;

  std::size_t size() const { return height * width * channels; }
};

struct PoolGeometry {
  factored::Pair kernel;
  factored::Pair stride;
  factored::Pair padding;
};

using ConvolutionPlan = std::shared_ptr<const factored::Plan>;

class LayerTable {
 public:
  using Value = std::size_t;

  // The inputs are the first values.
  explicit LayerTable(const std::vector<ImageShape>& inputs);

  // Each adds a step and returns the value that it makes; UsageError if shapes do not fit.
  Value convolution(ConvolutionPlan plan, Value x, const Value* residual, factored::Bounds bounds);
  Value max_pool(Value x, const PoolGeometry& geometry);
  Value average_pool(Value x, const PoolGeometry& geometry, bool counts_padding);
  Value add(Value x, Value y, factored::Bounds bounds);
  Value concatenate(const std::vector<Value>& values);

  ImageShape shape(Value value) const;
  std::size_t num_inputs() const { return num_inputs_; }
  std::size_t num_values() const { return shapes_.size(); }
  // Of the weights of all plans, each once.
  std::size_t num_bytes() const;
  // Of the weights that the steps read one after the other; a run reads them again for each time
  // that some images go through all steps.
  std::size_t num_bytes_read() const;

  struct Call {
    std::vector<const float*> inputs;
    std::vector<Value> values;  // that are wanted, no input and none twice
    std::vector<float*> outputs;
    std::size_t num_images;
    std::size_t images_at_once;
  };

  // Threads share images; the numbers do not depend on how many there are.
  void run(const Call& call, const factored::Unit& unit, int num_threads) const;

 private:
  enum class Kind { kConvolution, kMaxPool, kAveragePool, kAdd, kConcatenate };

  struct Step {
    Kind kind;
    std::vector<Value> inputs;
    factored::Bounds bounds{-std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::infinity()};
    ConvolutionPlan plan;
    factored::Layout layout;
    PoolGeometry pool;
    bool counts_padding;
    bool merges_images;  // a convolution that takes images as one with more rows
  };

  using Memory = AlignedVector<float>;
  struct Places;
  struct Arrays;

  struct Images {
    std::size_t first;
    std::size_t count;
  };

  Value append(Step step, ImageShape made);
  Value append_pool(Kind kind, Value x, const PoolGeometry& geometry, bool counts_padding);
  Places places_of(const Call& call, std::size_t num_images) const;
  void run_some(const factored::Unit& unit, const Places& places, const Images& images,
                float* memory, const Member& member) const;
  void run_step(const factored::Unit& unit, const Step& step, const Arrays& arrays,
                const Member& member) const;
  std::vector<Memory> take_memories(std::size_t count, std::size_t size) const;
  void keep_memories(std::vector<Memory> memories) const;

  std::size_t num_inputs_;
  std::vector<ImageShape> shapes_;
  std::vector<Step> steps_;
  mutable std::mutex mutex_;
  mutable std::vector<Memory> memories_;  // of calls that are over, for the next ones
};

}  // namespace quantlab
