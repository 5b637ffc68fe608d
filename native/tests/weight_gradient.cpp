// The engine's own kernel for the gradient of a weight against the definition.
#include "convolution.hpp"

#include "../weight_gradient.hpp"

namespace pellucid::test {
namespace {

const Sizes GRADIENTS[] = {
    {1, 1, 1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {2, 1, 1, 2, 5, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 1, 2, 1, 8, 9, {3, 2}, {2, 1}, {1, 0}, {1, 1}},
    {2, 3, 1, 1, 6, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   // groups
    {1, 1, 1, 1, 11, 13, {3, 3}, {2, 3}, {2, 3}, {2, 2}},  // dilation
    {1, 1, 1, 1, 2, 3, {3, 3}, {1, 1}, {3, 3}, {1, 1}},   // windows that lie in the padding alone
    {2, 1, 1, 1, 4, 4, {5, 5}, {1, 1}, {2, 2}, {1, 1}},   // a kernel larger than the image
    {1, 1, 1, 1, 3, 40, {1, 7}, {1, 2}, {0, 3}, {1, 1}},
    {1, 1, 1, 1, 70, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // more rows than the cache takes
    {9, 1, 1, 1, 4, 4, {2, 2}, {2, 2}, {0, 0}, {1, 1}},   // several images at once
};

TEST(weight_gradient) {
    if (!WeightGradient::available()) return;
    for (const auto& s : GRADIENTS) {
        Floats x = whole_numbers(s.x_size(), 1), g = whole_numbers(s.y_size(), 2);
        const Floats expected = expected_weight_gradient(s, x, g);
        const WeightGradientShape shape{s.batch,
                                        s.groups,
                                        s.in_blocks,
                                        s.out_blocks,
                                        s.height,
                                        s.width,
                                        s.outputs(0),
                                        s.outputs(1),
                                        {s.kernel[0], s.kernel[1]},
                                        {s.stride[0], s.stride[1]},
                                        {s.padding[0], s.padding[1]},
                                        {s.dilation[0], s.dilation[1]}};
        for (const int threads : {1, 2, 3, 5}) {
            Floats weight(s.weight_size(), 99.0f);
            run(std::make_unique<WeightGradient>("gradient", shape, Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, x, g, weight);
            check_near("weight gradient " + std::to_string(&s - GRADIENTS) + " on " + std::to_string(threads) + " threads", weight, expected, 0, 0);
        }
    }
}

const DepthwiseShape DEPTHWISE[] = {
    {1, 1, 1, 1, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {false, false}},
    {3, 2, 5, 7, 5, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {false, true}},
    {2, 3, 9, 8, 5, 4, {5, 5}, {2, 2}, {2, 2}, {1, 1}, {true, false}},
    {2, 1, 4, 4, 4, 4, {7, 7}, {1, 1}, {3, 3}, {1, 1}, {true, true}},   // a filter larger than the image
    {2, 2, 11, 13, 6, 5, {2, 3}, {2, 3}, {1, 2}, {2, 2}, {true, true}},  // dilation
    {1, 1, 2, 3, 6, 7, {3, 3}, {1, 1}, {3, 3}, {1, 1}, {false, false}},  // windows that lie in the padding alone
    {1, 9, 6, 40, 4, 38, {3, 3}, {1, 1}, {0, 0}, {1, 1}, {true, false}},
};

TEST(depthwise_gradient) {
    if (!WeightGradient::available()) return;
    for (const auto& s : DEPTHWISE) {
        const int64_t channels = s.blocks * BLOCK, positions = s.kernel[0] * s.kernel[1];
        Floats x = whole_numbers(s.batch * channels * s.height * s.width, 1), g = whole_numbers(s.batch * channels * s.out_height * s.out_width, 2);
        Floats expected(channels * positions);
        auto at = [&](const Floats& image, bool last, int64_t n, int64_t c, int64_t row, int64_t column, int64_t height, int64_t width) {
            return image[last ? ((n * height + row) * width + column) * channels + c : blocked(n, c, channels, row, column, height, width)];
        };
        for (int64_t n = 0; n < s.batch; ++n)
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t i = 0; i < s.out_height; ++i)
                    for (int64_t j = 0; j < s.out_width; ++j)
                        for (int64_t p = 0; p < positions; ++p) {
                            const int64_t row = i * s.stride[0] + p / s.kernel[1] * s.dilation[0] - s.padding[0];
                            const int64_t column = j * s.stride[1] + p % s.kernel[1] * s.dilation[1] - s.padding[1];
                            if (row < 0 || column < 0 || row >= s.height || column >= s.width) continue;
                            expected[c * positions + p] += at(x, s.channels_last[0], n, c, row, column, s.height, s.width) *
                                                           at(g, s.channels_last[1], n, c, i, j, s.out_height, s.out_width);
                        }
        for (const int threads : {1, 2, 3, 5}) {
            Floats weight(channels * positions, 99.0f);
            run(std::make_unique<DepthwiseGradient>("gradient", s, Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, x, g, weight);
            check_near("depthwise gradient " + std::to_string(&s - DEPTHWISE) + " on " + std::to_string(threads) + " threads", weight, expected, 0, 0);
        }
    }
}

}  // namespace
}  // namespace pellucid::test
