// Steps of Winograd's convolution: the transformed weight, the convolution (or its input's gradient), the weight's gradient.
#pragma once

#include "program.hpp"
#include "winograd_kernel.hpp"

namespace pellucid {

// The sizes of filters (3: 3x3) that this processor has kernels for, of images of one type; for the weight's gradient fewer.
std::vector<int> winograd_taps(DType type, bool gradient);

// The kernels for one of those sizes.
const WinogradKernels& winograd_kernels(DType type, int taps);

// Bytes of a transformed weight.
int64_t winograd_weight_bytes(DType type, int taps, int64_t out_channels, int64_t in_channels);

// (O, I, taps, taps) to [position][out block][in block][16 in][16 out]; for the input's gradient in and out change places.
class WinogradWeight : public Step {
public:
    WinogradWeight(std::string name, DType type, int taps, int64_t out_channels, int64_t in_channels, bool for_input_gradient, Place weight, Place to)
        : Step(std::move(name)), kernels_(winograd_kernels(type, taps)), type_(type), out_channels_(out_channels), in_channels_(in_channels),
          backward_(for_input_gradient), weight_(weight), to_(to) {
        if (out_channels % BLOCK || in_channels % BLOCK) throw std::invalid_argument("its channels do not fill blocks");
    }

    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    DType type_;
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

    WinogradConvolution(std::string name, DType type, int taps, const WinogradShape& shape, Places places, Epilogue epilogue)
        : Step(std::move(name)), kernels_(winograd_kernels(type, taps)), type_(type), shape_(shape), places_(places), epilogue_(epilogue) {}

    int64_t scratch_bytes(int threads) const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    DType type_;
    WinogradShape shape_;
    Places places_;
    Epilogue epilogue_;
};

class WinogradWeightGradient : public Step {
public:
    WinogradWeightGradient(std::string name, DType type, int taps, const WinogradShape& shape, Place x, Place y, Place weight)
        : Step(std::move(name)), kernels_(winograd_kernels(type, taps)), type_(type), shape_(shape), x_(x), y_(y), weight_(weight) {
        if (!kernels_.accumulate) throw std::invalid_argument("there is no gradient of such a weight");
    }

    int64_t scratch_bytes(int threads) const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    const WinogradKernels& kernels_;
    DType type_;
    WinogradShape shape_;
    Place x_, y_, weight_;
};

}  // namespace pellucid
