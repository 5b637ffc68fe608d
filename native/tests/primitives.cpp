// Convolutions and products through oneDNN: descriptions, layouts, orders of weights and epilogues.
#include "../primitives.hpp"

#include <algorithm>

#include "check.hpp"

namespace pellucid::test {
namespace {

constexpr ConvolutionShape SHAPE{2, 16, 32, 1, {6, 5}, {3, 5}, {3, 3}, {2, 1}, {1, 1}, {1, 1}};

// Place of an element of an image (N, C, H, W) in a layout.
int64_t place(Layout layout, int64_t n, int64_t c, int64_t i, int64_t j, int64_t channels, Pair size) {
    const int64_t pixel = i * size[1] + j, pixels = size[0] * size[1];
    switch (layout) {
        case Layout::plain: return (n * channels + c) * pixels + pixel;
        case Layout::channels_last: return (n * pixels + pixel) * channels + c;
        case Layout::blocked: return ((n * channels / 16 + c / 16) * pixels + pixel) * 16 + c % 16;
    }
    return 0;
}

template <class F>
void for_products(const ConvolutionShape& s, Layout layout, F f) {
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t o = 0; o < s.out_channels; ++o)
            for (int64_t i = 0; i < s.out_size[0]; ++i)
                for (int64_t j = 0; j < s.out_size[1]; ++j)
                    for (int64_t c = 0; c < s.in_channels; ++c)
                        for (int64_t u = 0; u < s.kernel[0]; ++u)
                            for (int64_t v = 0; v < s.kernel[1]; ++v) {
                                const int64_t row = i * s.stride[0] + u - s.padding[0], column = j * s.stride[1] + v - s.padding[1];
                                if (row < 0 || column < 0 || row >= s.in_size[0] || column >= s.in_size[1]) continue;
                                f(place(layout, n, c, row, column, s.in_channels, s.in_size), place(layout, n, o, i, j, s.out_channels, s.out_size),
                                  ((o * s.in_channels + c) * s.kernel[0] + u) * s.kernel[1] + v);
                            }
}

struct Sizes {
    size_t x = SHAPE.batch * SHAPE.in_channels * SHAPE.in_size[0] * SHAPE.in_size[1];
    size_t y = SHAPE.batch * SHAPE.out_channels * SHAPE.out_size[0] * SHAPE.out_size[1];
    size_t weight = SHAPE.out_channels * SHAPE.in_channels * SHAPE.kernel[0] * SHAPE.kernel[1];
};

Convolution make(Direction direction, Layout layout, DType type, Epilogue epilogue, int threads) {
    const Threads within(threads);  // a primitive must be run by as many threads as it was made for
    return {"convolution", direction, SHAPE, layout, layout, type, type, epilogue};
}

// Brings the weight into oneDNN's order, if it wants one, and runs the convolution (or a gradient, whose result comes last).
template <class Numbers>
void convolve(const Convolution& c, int threads, Numbers& x, Floats& weight, Numbers& y, Floats& bias, Numbers& residual, bool gradient = false) {
    std::vector<char> ordered(c.weight_bytes()), scratch(c.scratch_bytes());
    const int base = c.weight_bytes() ? 6 : 2;
    auto bytes = [](const auto& numbers) { return int64_t(numbers.size() * sizeof(numbers[0])); };
    Program program(0, {bytes(x), bytes(weight), bytes(y), bytes(bias), bytes(residual), bytes(ordered), bytes(scratch)}, threads);
    if (c.weight_bytes() && !gradient) program.add(c.reorder("order", {2, 0}, {6, 0}));
    program.add(c.step({1, 0}, {base, 0}, {3, 0}, {4, 0}, {5, 0}, {7, 0}));
    if (c.weight_bytes() && gradient) program.add(c.reorder("order", {6, 0}, {2, 0}));
    Context* context = program.acquire();
    void* arrays[] = {x.data(), weight.data(), y.data(), bias.data(), residual.data(), ordered.data(), scratch.data()};
    for (int i = 0; i < 7; ++i) context->bases[1 + i] = static_cast<char*>(arrays[i]);
    if (program.run(*context, 0, program.size(), nullptr)) program.run(*context, 0, program.size(), nullptr, true);
}

TEST(convolution_forward) {
    const Sizes sizes;
    for (const Layout layout : {Layout::plain, Layout::channels_last, Layout::blocked})
        for (const int epilogue : {0, 1, 2, 4, 7}) {
            const Epilogue with{(epilogue & 1) != 0, (epilogue & 2) != 0, (epilogue & 4) != 0};
            Floats x = whole_numbers(sizes.x, 1), weight = whole_numbers(sizes.weight, 2), bias = whole_numbers(SHAPE.out_channels, 3);
            Floats residual = whole_numbers(sizes.y, 4), y(sizes.y, 99.0f), expected(sizes.y);
            for_products(SHAPE, layout, [&](int64_t in, int64_t out, int64_t at) { expected[out] += x[in] * weight[at]; });
            for (int64_t n = 0; n < SHAPE.batch; ++n)
                for (int64_t o = 0; o < SHAPE.out_channels; ++o)
                    for (int64_t i = 0; i < SHAPE.out_size[0]; ++i)
                        for (int64_t j = 0; j < SHAPE.out_size[1]; ++j) {
                            float& value = expected[place(layout, n, o, i, j, SHAPE.out_channels, SHAPE.out_size)];
                            if (with.bias) value += bias[o];
                            if (with.residual) value += residual[place(layout, n, o, i, j, SHAPE.out_channels, SHAPE.out_size)];
                            if (with.relu) value = std::max(value, 0.0f);
                        }
            for (const int threads : {1, 2}) {
                const Convolution convolution = make(Direction::forward, layout, DType::f32, with, threads);
                convolve(convolution, threads, x, weight, y, bias, residual);
                check_near("convolution by " + convolution.implementation(), y, expected, 1e-5, 1e-5);
            }
        }
}

TEST(convolution_keeps_nan) {
    const Sizes sizes;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const Layout layout : {Layout::plain, Layout::channels_last, Layout::blocked})
        for (const float ceiling : {std::numeric_limits<float>::infinity(), 6.0f})
            for (const int threads : {1, 2}) {
                Floats x = whole_numbers(sizes.x, 1), weight = whole_numbers(sizes.weight, 2), bias = whole_numbers(SHAPE.out_channels, 3);
                Floats residual = whole_numbers(sizes.y, 4), y(sizes.y, 99.0f), expected(sizes.y);
                x[5] = bias[7] = residual[9] = nan;
                for_products(SHAPE, layout, [&](int64_t in, int64_t out, int64_t at) { expected[out] += x[in] * weight[at]; });
                for (int64_t n = 0; n < SHAPE.batch; ++n)
                    for (int64_t o = 0; o < SHAPE.out_channels; ++o)
                        for (int64_t i = 0; i < SHAPE.out_size[0]; ++i)
                            for (int64_t j = 0; j < SHAPE.out_size[1]; ++j) {
                                const int64_t at = place(layout, n, o, i, j, SHAPE.out_channels, SHAPE.out_size);
                                const float value = expected[at] + bias[o] + residual[at];
                                expected[at] = value != value ? value : std::min(std::max(value, 0.0f), ceiling);
                            }
                const Convolution convolution = make(Direction::forward, layout, DType::f32, {true, true, true, ceiling}, threads);
                convolve(convolution, threads, x, weight, y, bias, residual);
                check_near("convolution by " + convolution.implementation(), y, expected, 1e-5, 1e-5);
            }
}

TEST(convolution_in_bfloat16) {
    const Sizes sizes;
    const Floats x = whole_numbers(sizes.x, 1), residual = whole_numbers(sizes.y, 4);
    Floats weight = whole_numbers(sizes.weight, 2), bias = whole_numbers(SHAPE.out_channels, 3), expected(sizes.y);
    for_products(SHAPE, Layout::blocked, [&](int64_t in, int64_t out, int64_t at) { expected[out] += x[in] * weight[at]; });
    Halves half_x = narrow(x), half_y(sizes.y), half_residual = narrow(residual);
    const Convolution convolution = make(Direction::forward, Layout::blocked, DType::bf16, {}, 2);
    convolve(convolution, 2, half_x, weight, half_y, bias, half_residual);
    check_near("bfloat16 convolution", widen(half_y), expected, 1.0 / 256, 0);
}

TEST(convolution_gradients) {
    const Sizes sizes;
    for (const int threads : {1, 2})
        for (const Layout layout : {Layout::plain, Layout::blocked}) {
            Floats x = whole_numbers(sizes.x, 1), weight = whole_numbers(sizes.weight, 2), g = whole_numbers(sizes.y, 3), none(1);
            Floats expected_x(sizes.x), expected_weight(sizes.weight), dx(sizes.x, 99.0f), dweight(sizes.weight, 99.0f);
            for_products(SHAPE, layout, [&](int64_t in, int64_t out, int64_t at) {
                expected_x[in] += g[out] * weight[at];
                expected_weight[at] += g[out] * x[in];
            });
            convolve(make(Direction::backward_data, layout, DType::f32, {}, threads), threads, dx, weight, g, none, none);
            check_near("input gradient", dx, expected_x, 1e-5, 1e-5);
            convolve(make(Direction::backward_weights, layout, DType::f32, {}, threads), threads, x, dweight, g, none, none, true);
            check_near("weight gradient", dweight, expected_weight, 1e-5, 1e-5);
        }
}

TEST(products) {
    constexpr int64_t B = 3, M = 5, K = 17, N = 9;
    Floats a = whole_numbers(B * M * K, 1), b = whole_numbers(K * N, 2), bias = whole_numbers(N, 3), expected(B * M * N), scratch(1 << 16);
    for (int64_t i = 0; i < B * M; ++i)
        for (int64_t j = 0; j < N; ++j) {
            for (int64_t k = 0; k < K; ++k) expected[i * N + j] += a[i * K + k] * b[j * K + k];  // b lies transposed
            expected[i * N + j] = std::max(0.0f, expected[i * N + j] + bias[j]);
        }
    const Threads within(2);
    const Product product("product", {{B, M, K}, {M * K, K, 1}, DType::f32}, {{1, K, N}, {K * N, 1, K}, DType::f32},
                          {{B, M, N}, {M * N, N, 1}, DType::f32}, {true, false, true});
    CHECK(product.scratch_bytes() <= int64_t(scratch.size() * sizeof(float)));
    Floats y(B * M * N, 99.0f);
    run(product.step({1, 0}, {2, 0}, {3, 0}, {4, 0}, {0, 0}, {5, 0}), 2, a, b, y, bias, scratch);
    check_near("product", y, expected, 1e-5, 1e-5);
}

TEST(impossible_products_are_refused) {
    bool refused = false;
    try {
        Product("product", {{2, 3}, {3, 1}, DType::f32}, {{4, 2}, {2, 1}, DType::f32}, {{2, 2}, {2, 1}, DType::f32}, {});
    } catch (const dnnl::error&) {
        refused = true;
    }
    CHECK(refused);
}

}  // namespace
}  // namespace pellucid::test
