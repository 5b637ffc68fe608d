// The gradient of a convolution's weight, from images in blocks of sixteen channels, straight into (O, I, kh, kw), in float32.
//
// oneDNN's kernel keeps its sums in registers for one row of pixels at a time; on images of 4 to 32 pixels a quarter of
// the time goes into loading and storing them. Here they stay for a chunk of rows or images that fits the first-level
// cache.
#pragma once

#include "program.hpp"

namespace pellucid {

struct WeightGradientShape {
    int64_t batch, groups, in_blocks, out_blocks;  // blocks of channels per group
    int64_t height, width, out_height, out_width;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
};

class WeightGradient : public Step {
public:
    WeightGradient(std::string name, const WeightGradientShape& shape, Place x, Place y, Place weight)
        : Step(std::move(name)), shape_(shape), x_(x), y_(y), weight_(weight) {}

    int64_t scratch_bytes(int threads) const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

    // Whether this processor has the registers that the kernel is made for.
    static bool available();

private:
    int64_t parts(int threads) const;

    WeightGradientShape shape_;
    Place x_, y_, weight_;
};

// Adds to sums[kh * kw][16 in][16 out] what images `first` to `last` of one pair of blocks give.
void weight_gradient_f32(const WeightGradientShape&, int64_t in_block, int64_t out_block, const float* x, const float* y,
                         int64_t first, int64_t last, float* sums);

// The same where each group has one channel, of images in blocks or with the channels last, into (channels, kh, kw): oneDNN's kernel
// for channels that come last is ten times slower.
struct DepthwiseShape {
    int64_t batch, blocks;  // blocks of channels
    int64_t height, width, out_height, out_width;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    bool channels_last[2];  // of the image, and of the result's gradient
};

class DepthwiseGradient : public Step {
public:
    DepthwiseGradient(std::string name, const DepthwiseShape& shape, Place x, Place y, Place weight)
        : Step(std::move(name)), shape_(shape), x_(x), y_(y), weight_(weight) {}

    int64_t scratch_bytes(int threads) const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

    // Widths of filters that the kernel is written for.
    static bool has(int64_t width) { return width == 3 || width == 5 || width == 7; }

private:
    DepthwiseShape shape_;
    Place x_, y_, weight_;
};

// Adds to sums[kh * kw][16] what images `first` to `last` of a block of channels give.
void depthwise_gradient_f32(const DepthwiseShape&, int64_t block, const float* x, const float* y, int64_t first, int64_t last, float* sums);

}  // namespace pellucid
