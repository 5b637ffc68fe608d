// The engine's own convolution kernels (direct weight gradient, Winograd) against the definition.
#include <algorithm>

#include "../weight_gradient.hpp"
#include "../winograd.hpp"
#include "check.hpp"

namespace pellucid::test {
namespace {

constexpr int64_t BLOCK = 16;

// Sizes of a convolution; channels are counted in blocks of sixteen per group.
struct Sizes {
    int64_t batch, groups, in_blocks, out_blocks, height, width, kernel[2], stride[2], padding[2], dilation[2];

    int64_t outputs(int d) const {
        return ((d ? width : height) + 2 * padding[d] - (kernel[d] - 1) * dilation[d] - 1) / stride[d] + 1;
    }
    int64_t in_channels() const { return in_blocks * BLOCK; }
    int64_t out_channels() const { return out_blocks * BLOCK; }
    int64_t x_size() const { return batch * groups * in_channels() * height * width; }
    int64_t y_size() const { return batch * groups * out_channels() * outputs(0) * outputs(1); }
    int64_t weight_size() const { return groups * out_channels() * in_channels() * kernel[0] * kernel[1]; }
};

int64_t blocked(int64_t image, int64_t channel, int64_t channels, int64_t row, int64_t column, int64_t height, int64_t width) {
    return (((image * channels / BLOCK + channel / BLOCK) * height + row) * width + column) * BLOCK + channel % BLOCK;
}

// Calls f(place in x, in y, in the weight) for every product that the convolution is a sum of.
template <class F>
void for_products(const Sizes& s, F f) {
    const int64_t down = s.outputs(0), across = s.outputs(1);
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t o = 0; o < s.groups * s.out_channels(); ++o)
            for (int64_t i = 0; i < down; ++i)
                for (int64_t j = 0; j < across; ++j)
                    for (int64_t u = 0; u < s.kernel[0]; ++u)
                        for (int64_t v = 0; v < s.kernel[1]; ++v) {
                            const int64_t row = i * s.stride[0] + u * s.dilation[0] - s.padding[0];
                            const int64_t column = j * s.stride[1] + v * s.dilation[1] - s.padding[1];
                            if (row < 0 || column < 0 || row >= s.height || column >= s.width) continue;
                            const int64_t y = blocked(n, o, s.groups * s.out_channels(), i, j, down, across), group = o / s.out_channels();
                            for (int64_t c = 0; c < s.in_channels(); ++c)
                                f(blocked(n, group * s.in_channels() + c, s.groups * s.in_channels(), row, column, s.height, s.width), y,
                                  ((o * s.in_channels() + c) * s.kernel[0] + u) * s.kernel[1] + v);
                        }
}

Floats expected_weight_gradient(const Sizes& s, const Floats& x, const Floats& g) {
    Floats sums(s.weight_size());
    for_products(s, [&](int64_t in, int64_t out, int64_t weight) { sums[weight] += x[in] * g[out]; });
    return sums;
}

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
            run(std::make_unique<WeightGradient>("gradient", shape, DType::f32, Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, x, g, weight);
            check_near("weight gradient " + std::to_string(&s - GRADIENTS) + " on " + std::to_string(threads) + " threads", weight, expected, 0, 0);
        }
    }
}

// Whole numbers stay exact: the transforms divide by 4 at most.
const Sizes WINOGRADS[] = {
    {1, 1, 1, 1, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 1, 1, 2, 5, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 1, 2, 3, 8, 6, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
    {3, 1, 3, 1, 3, 4, {3, 3}, {1, 1}, {2, 2}, {1, 1}},
    {1, 1, 1, 4, 4, 5, {3, 3}, {1, 1}, {1, 0}, {1, 1}},
    {5, 1, 2, 2, 15, 14, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // several chunks of tiles
    {2, 1, 2, 2, 16, 14, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // one, as large as they come
};

WinogradShape winograd_shape(const Sizes& s) {
    return {s.batch, s.in_blocks, s.out_blocks, s.height, s.width, s.outputs(0), s.outputs(1), {s.padding[0], s.padding[1]}};
}

TEST(winograd_convolution) {
    if (!WeightGradient::available()) return;
    for (const auto& s : WINOGRADS)
        for (const int epilogue : {0, 1, 2, 4, 7}) {
            const WinogradConvolution::Epilogue with{(epilogue & 1) != 0, (epilogue & 2) != 0, (epilogue & 4) != 0};
            Floats x = whole_numbers(s.x_size(), 1), weight = whole_numbers(s.weight_size(), 2), bias = whole_numbers(s.out_channels(), 3);
            Floats residual = whole_numbers(s.y_size(), 4), expected(s.y_size());
            for_products(s, [&](int64_t in, int64_t out, int64_t at) { expected[out] += x[in] * weight[at]; });
            const int64_t plane = s.outputs(0) * s.outputs(1) * BLOCK;
            for (int64_t i = 0; i < s.y_size(); ++i) {
                if (with.bias) expected[i] += bias[i / plane % s.out_blocks * BLOCK + i % BLOCK];
                if (with.residual) expected[i] += residual[i];
                if (with.relu) expected[i] = std::max(expected[i], 0.0f);
            }
            for (const int threads : {1, 2, 3}) {
                Floats transformed(s.weight_size() / 9 * 16), y(s.y_size(), 99.0f);
                run(std::make_unique<WinogradWeight>("weight", DType::f32, s.out_channels(), s.in_channels(), false, Place{1, 0}, Place{2, 0}), threads, weight,
                    transformed);
                run(std::make_unique<WinogradConvolution>("convolution", DType::f32, winograd_shape(s),
                                                          WinogradConvolution::Places{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}}, with),
                    threads, x, transformed, y, bias, residual);
                check_near("winograd " + std::to_string(&s - WINOGRADS) + " on " + std::to_string(threads) + " threads", y, expected, 0, 0);
            }
        }
}

TEST(winograd_gradients) {
    if (!WeightGradient::available()) return;
    for (const auto& s : WINOGRADS) {
        Floats x = whole_numbers(s.x_size(), 1), weight = whole_numbers(s.weight_size(), 2), g = whole_numbers(s.y_size(), 3);
        const Floats expected_weight = expected_weight_gradient(s, x, g);
        Floats expected_x(s.x_size());
        for_products(s, [&](int64_t in, int64_t out, int64_t at) { expected_x[in] += g[out] * weight[at]; });
        // The gradient of the input is a convolution too, from y to x, with the weight turned and more padding.
        const WinogradShape back{s.batch,      s.out_blocks, s.in_blocks, s.outputs(0),
                                 s.outputs(1), s.height,     s.width,     {2 - s.padding[0], 2 - s.padding[1]}};
        for (const int threads : {1, 2, 3}) {
            Floats transformed(s.weight_size() / 9 * 16), dx(s.x_size(), 99.0f), dweight(s.weight_size(), 99.0f);
            run(std::make_unique<WinogradWeight>("weight", DType::f32, s.out_channels(), s.in_channels(), true, Place{1, 0}, Place{2, 0}), threads, weight,
                transformed);
            run(std::make_unique<WinogradConvolution>("gradient", DType::f32, back, WinogradConvolution::Places{{1, 0}, {2, 0}, {3, 0}, {0, 0}, {0, 0}},
                                                      WinogradConvolution::Epilogue{false, false, false}),
                threads, g, transformed, dx);
            run(std::make_unique<WinogradWeightGradient>("gradient", DType::f32, winograd_shape(s), Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, x, g,
                dweight);
            const std::string label = std::to_string(&s - WINOGRADS) + " on " + std::to_string(threads) + " threads";
            check_near("winograd input gradient " + label, dx, expected_x, 0, 0);
            check_near("winograd weight gradient " + label, dweight, expected_weight, 0, 0);
        }
    }
}

}  // namespace
}  // namespace pellucid::test
