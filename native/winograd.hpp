// Steps of Winograd's convolution: the transformed weight, the convolution (or its input's gradient), the weight's gradient.
#pragma once

#include "program.hpp"
#include "winograd_kernel.hpp"

namespace pellucid {

// The kernels for images of float32 or bfloat16.
inline const WinogradKernels& winograd_kernels(DType type) { return type == DType::bf16 ? winograd_bf16 : winograd_f32; }

// (O, I, 3, 3) to [position][out block][in block][16 in][16 out]; for the input's gradient in and out change places.
class WinogradWeight : public Step {
public:
    WinogradWeight(std::string name, DType type, int64_t out_channels, int64_t in_channels, bool for_input_gradient, Place weight, Place to)
        : Step(std::move(name)), kernels_(winograd_kernels(type)), out_channels_(out_channels), in_channels_(in_channels),
          backward_(for_input_gradient), weight_(weight), to_(to) {}

    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    int64_t out_channels_, in_channels_;
    bool backward_;
    Place weight_, to_;
};

class WinogradConvolution : public Step {
public:
    struct Places {
        Place x, weight, y, bias, residual;
    };
    struct Epilogue {
        bool bias, residual, relu;
    };

    WinogradConvolution(std::string name, DType type, const WinogradShape& shape, Places places, Epilogue epilogue)
        : Step(std::move(name)), kernels_(winograd_kernels(type)), shape_(shape), places_(places), epilogue_(epilogue) {}

    int64_t scratch_bytes(int threads) const override;
    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    WinogradShape shape_;
    Places places_;
    Epilogue epilogue_;
};

class WinogradWeightGradient : public Step {
public:
    WinogradWeightGradient(std::string name, DType type, const WinogradShape& shape, Place x, Place y, Place weight)
        : Step(std::move(name)), kernels_(winograd_kernels(type)), shape_(shape), x_(x), y_(y), weight_(weight) {}

    int64_t scratch_bytes(int threads) const override;
    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    WinogradShape shape_;
    Place x_, y_, weight_;
};

}  // namespace pellucid
