// Winograd's convolution and its gradients against the definition.
#include "../winograd.hpp"

#include <algorithm>

#include "../weight_gradient.hpp"
#include "convolution.hpp"

namespace pellucid::test {
namespace {

const Sizes SIZES[] = {
    {1, 1, 1, 1, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 1, 1, 2, 5, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 1, 2, 3, 8, 6, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
    {3, 1, 3, 1, 3, 4, {3, 3}, {1, 1}, {2, 2}, {1, 1}},
    {1, 1, 1, 4, 4, 5, {3, 3}, {1, 1}, {1, 0}, {1, 1}},
    {1, 1, 1, 1, 5, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1}},    // an odd number of tiles
    {5, 1, 2, 2, 15, 14, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // several chunks of tiles
    {2, 1, 2, 2, 16, 14, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // one, as large as they come
    {1, 1, 1, 1, 1, 1, {5, 5}, {1, 1}, {2, 2}, {1, 1}},
    {2, 1, 2, 3, 9, 7, {5, 5}, {1, 1}, {2, 2}, {1, 1}},
    {3, 1, 1, 2, 6, 8, {5, 5}, {1, 1}, {0, 1}, {1, 1}},
    {4, 1, 2, 2, 14, 14, {5, 5}, {1, 1}, {2, 2}, {1, 1}},
};

// Whole numbers stay exact in float32 with three taps: the transforms divide by 4 at most. With five they divide by 24, and
// bfloat16 has eight bits; sums of hundreds of products come near 0 where errors do not, so what they may be off is measured
// by the largest result.
struct F32 {
    using Numbers = Floats;
    static constexpr DType type = DType::f32;
    static constexpr double tolerance = 0;
    static Floats store(const Floats& x) { return x; }
    static Floats load(const Floats& x) { return x; }
    static bool available() { return WeightGradient::available(); }
};
struct BF16 {
    using Numbers = Halves;
    static constexpr DType type = DType::bf16;
    static constexpr double tolerance = 1.0 / 64;
    static Halves store(const Floats& x) { return narrow(x); }
    static Floats load(const Halves& x) { return widen(x); }
    static bool available() { return WeightGradient::available() && __builtin_cpu_supports("avx512bf16"); }
};

template <class T>
void check(const std::string& what, const Sizes& s, int threads, const Floats& actual, const Floats& expected) {
    double largest = 0;
    for (const float value : expected) largest = std::max(largest, std::fabs(double(value)));
    const std::string label = "winograd " + what + " " + std::to_string(&s - SIZES) + " on " + std::to_string(threads) + " threads";
    const double tolerance = s.kernel[0] == 3 ? T::tolerance : 1e-5;
    check_near(label + (T::type == DType::bf16 ? " in bfloat16" : ""), actual, expected, 0, tolerance * largest);
}

WinogradShape shape_of(const Sizes& s) {
    return {s.batch, s.in_blocks, s.out_blocks, s.height, s.width, s.outputs(0), s.outputs(1), {s.padding[0], s.padding[1]}};
}

template <class T>
typename T::Numbers transformed(const Sizes& s, bool backward, int threads, Floats weight) {
    const int taps = int(s.kernel[0]);
    typename T::Numbers positions(s.weight_size() / (taps * taps) * (taps + 1) * (taps + 1));
    run(std::make_unique<WinogradWeight>("weight", T::type, taps, s.out_channels(), s.in_channels(), backward, Place{1, 0}, Place{2, 0}), threads, weight,
        positions);
    return positions;
}

// y may lie over the residual.
template <class T>
Floats convolved(int taps, const WinogradShape& shape, WinogradConvolution::Epilogue with, int threads, const Floats& x, typename T::Numbers positions,
                 size_t size, Floats bias, const Floats& residual, bool in_place) {
    auto source = T::store(x), added = T::store(residual);
    typename T::Numbers separate(size), &y = in_place ? added : separate;
    run(std::make_unique<WinogradConvolution>("convolution", T::type, taps, shape, WinogradConvolution::Places{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}},
                                              with),
        threads, source, positions, y, bias, added);
    return T::load(y);
}

template <class T>
void check_convolution(const Sizes& s, int epilogue) {
    const WinogradConvolution::Epilogue with{(epilogue & 1) != 0, (epilogue & 2) != 0, (epilogue & 4) != 0};
    const Floats x = whole_numbers(s.x_size(), 1), weight = whole_numbers(s.weight_size(), 2), bias = whole_numbers(s.out_channels(), 3);
    const Floats residual = whole_numbers(s.y_size(), 4);
    Floats expected(s.y_size());
    for_products(s, [&](int64_t in, int64_t out, int64_t at) { expected[out] += x[in] * weight[at]; });
    const int64_t plane = s.outputs(0) * s.outputs(1) * BLOCK;
    for (int64_t i = 0; i < s.y_size(); ++i) {
        if (with.bias) expected[i] += bias[i / plane % s.out_blocks * BLOCK + i % BLOCK];
        if (with.residual) expected[i] += residual[i];
        if (with.relu) expected[i] = std::max(expected[i], 0.0f);
    }
    for (const int threads : {1, 2, 3})
        for (const bool in_place : {false, true}) {
            const auto positions = transformed<T>(s, false, threads, weight);
            check<T>("convolution", s, threads, convolved<T>(int(s.kernel[0]), shape_of(s), with, threads, x, positions, s.y_size(), bias, residual, in_place),
                     expected);
        }
}

// The gradient of the input is a convolution too, from y to x, with the weight turned and more padding.
template <class T>
void check_gradients(const Sizes& s) {
    const Floats x = whole_numbers(s.x_size(), 1), weight = whole_numbers(s.weight_size(), 2), g = whole_numbers(s.y_size(), 3);
    const Floats expected_weight = expected_weight_gradient(s, x, g);
    Floats expected_x(s.x_size());
    for_products(s, [&](int64_t in, int64_t out, int64_t at) { expected_x[in] += g[out] * weight[at]; });
    WinogradShape back{s.batch, s.out_blocks, s.in_blocks, s.outputs(0), s.outputs(1), s.height, s.width,
                       {s.kernel[0] - 1 - s.padding[0], s.kernel[1] - 1 - s.padding[1]}};
    for (const int threads : {1, 2, 3}) {
        const auto positions = transformed<T>(s, true, threads, weight);
        check<T>("input gradient", s, threads, convolved<T>(int(s.kernel[0]), back, {false, false, false}, threads, g, positions, s.x_size(), {}, {}, false),
                 expected_x);
        if (s.kernel[0] != 3) continue;  // the weight's gradient is made for three taps
        auto stored_x = T::store(x), stored_g = T::store(g);
        Floats dweight(s.weight_size(), 99.0f);
        run(std::make_unique<WinogradWeightGradient>("gradient", T::type, 3, shape_of(s), Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, stored_x,
            stored_g, dweight);
        check<T>("weight gradient", s, threads, dweight, expected_weight);
    }
}

template <class T>
void check_all() {
    if (!T::available()) return;
    for (const auto& s : SIZES) {
        if (s.kernel[0] != 3 && T::type == DType::bf16) continue;
        for (const int epilogue : {0, 1, 2, 4, 7}) check_convolution<T>(s, epilogue);
        check_gradients<T>(s);
    }
}

TEST(winograd) { check_all<F32>(); }

TEST(winograd_in_bfloat16) { check_all<BF16>(); }

}  // namespace
}  // namespace pellucid::test
