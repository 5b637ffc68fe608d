// Convolutions, matrix products and changes of layout, done by oneDNN.
#pragma once

#include <dnnl.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include "program.hpp"

namespace pellucid {

using Dims = std::vector<int64_t>;
using Pair = std::array<int64_t, 2>;

// The instructions that oneDNN uses: those of the processor, or fewer under ONEDNN_MAX_CPU_ISA.
std::string onednn_isa();

// How an image tensor (N, C, H, W) lies in memory.
enum class Layout : int { plain, channels_last, blocked };

// A oneDNN primitive whose arguments lie at places of the program.
class Primitive : public Step {
public:
    struct Argument {
        const char* what;
        int number;
        dnnl::memory::desc description;
        Place place;
    };

    // `bound`: whether its threads may wait for one another on the way.
    Primitive(std::string name, dnnl::primitive primitive, std::vector<Argument> arguments, bool bound)
        : Step(std::move(name)), primitive_(std::move(primitive)), arguments_(std::move(arguments)), bound_(bound) {}

    std::unique_ptr<State> make_state() const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    dnnl::primitive primitive_;
    std::vector<Argument> arguments_;
    bool bound_;
};

// What is done to a convolution or product before it is written: bias, another tensor, ReLU up to a ceiling.
struct Epilogue {
    bool bias, residual, relu;
    float ceiling = std::numeric_limits<float>::infinity();
};

// A primitive made ready, and where it ends in ReLU the same without.
struct Made {
    dnnl::primitive whole, unrectified;
    dnnl::memory::desc scratch, unrectified_scratch;
    std::string implementation;
    int threads;        // that will run it
    bool bound = true;  // whether they may wait for one another

    int64_t scratch_bytes() const { return int64_t(std::max(scratch.get_size(), unrectified_scratch.get_size())); }
    std::unique_ptr<Step> step(const std::string& name, std::vector<Primitive::Argument> arguments, const Primitive::Argument& out,
                               const Epilogue& epilogue, Place place) const;
};

enum class Direction : int { forward, backward_data, backward_weights };

struct ConvolutionShape {
    int64_t batch, in_channels, out_channels, groups;
    Pair in_size, out_size, kernel, stride, padding, dilation;
};

// A convolution or one of its gradients, made before its places are known: it says which memory it wants.
class Convolution {
public:
    Convolution(std::string name, Direction direction, const ConvolutionShape& shape, Layout in_layout, Layout out_layout,
                DType in_type, DType out_type, Epilogue epilogue);

    // Bytes of the weight (or its gradient) in the order oneDNN prefers; 0 if that is (O, I, H, W).
    int64_t weight_bytes() const { return same_order_ ? 0 : int64_t(weight_.get_size()); }
    int64_t scratch_bytes() const { return made_.scratch_bytes(); }
    const std::string& implementation() const { return made_.implementation; }

    // The step that brings the weight into oneDNN's order, or its gradient back into (O, I, H, W).
    std::unique_ptr<Step> reorder(const std::string& name, Place from, Place to) const;
    std::unique_ptr<Step> step(Place in, Place weight, Place out, Place bias, Place residual, Place scratch) const;

private:
    std::string name_;
    Direction direction_;
    Epilogue epilogue_;
    Made made_;
    dnnl::memory::desc in_, weight_, plain_weight_, out_, bias_;
    bool same_order_;
};

// out = a b (+ bias) (relu), batches of matrices under any strides (in elements).
class Product {
public:
    struct Matrix {
        Dims shape, strides;
        DType type;
    };

    Product(std::string name, const Matrix& a, const Matrix& b, const Matrix& out, Epilogue epilogue);

    int64_t scratch_bytes() const { return made_.scratch_bytes(); }
    const std::string& implementation() const { return made_.implementation; }
    std::unique_ptr<Step> step(Place a, Place b, Place out, Place bias, Place residual, Place scratch) const;

private:
    std::string name_;
    Epilogue epilogue_;
    Made made_;
    dnnl::memory::desc a_, b_, out_, bias_;
};

}  // namespace pellucid
