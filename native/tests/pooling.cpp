// Pooling and its gradients against loops over the windows.
#include "../pooling.hpp"

#include <algorithm>
#include <limits>

#include "check.hpp"

namespace pellucid::test {
namespace {

// outer, height, width, inner, kernel, stride, padding; the output is as large as windows fit.
struct Windows {
    int64_t outer, height, width, inner, kernel[2], stride[2], padding[2];

    PoolShape shape(bool count_padding) const {
        const int64_t down = (height + 2 * padding[0] - kernel[0]) / stride[0] + 1, across = (width + 2 * padding[1] - kernel[1]) / stride[1] + 1;
        return {outer, height, width, inner, down, across, {kernel[0], kernel[1]}, {stride[0], stride[1]}, {padding[0], padding[1]}, count_padding};
    }
};

const Windows WINDOWS[] = {
    {1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0}},
    {3, 4, 4, 1, {2, 2}, {2, 2}, {0, 0}},     // tiles
    {2, 6, 9, 16, {2, 3}, {2, 3}, {0, 0}},    // tiles of blocks of channels
    {2, 7, 5, 16, {2, 2}, {2, 2}, {0, 0}},    // a row and a column are left over
    {2, 7, 8, 5, {3, 3}, {2, 2}, {1, 1}},     // overlaps
    {3, 5, 6, 35, {3, 3}, {1, 1}, {1, 1}},    // two blocks and three channels
    {2, 9, 8, 32, {2, 2}, {3, 4}, {0, 0}},    // gaps
    {1, 6, 4, 17, {3, 2}, {1, 3}, {1, 0}},
    {2, 5, 5, 3, {5, 5}, {1, 1}, {0, 0}},     // all of the image
    {1, 8, 8, 16, {4, 4}, {2, 2}, {2, 2}},
    {2, 3, 20, 1, {1, 15}, {1, 2}, {0, 7}},
    {0, 4, 4, 16, {2, 2}, {2, 2}, {0, 0}},    // nothing
    {9, 12, 12, 16, {3, 3}, {2, 2}, {1, 1}},  // enough for several threads
    {40, 32, 32, 1, {2, 2}, {2, 2}, {0, 0}},
};

struct Expected {
    Floats pooled, image;  // pooled x; and the image's gradient of the pooled `g`
    std::vector<uint8_t> winners;
};

// Calls f(outer, channel, place of the window's value, places and positions of its elements).
template <class F>
void for_windows(const PoolShape& s, F f) {
    for (int64_t o = 0; o < s.outer; ++o)
        for (int64_t c = 0; c < s.inner; ++c)
            for (int64_t i = 0; i < s.out_height; ++i)
                for (int64_t j = 0; j < s.out_width; ++j) {
                    std::vector<std::pair<int64_t, int>> elements;
                    for (int64_t u = 0; u < s.kernel[0]; ++u)
                        for (int64_t v = 0; v < s.kernel[1]; ++v) {
                            const int64_t row = i * s.stride[0] + u - s.padding[0], column = j * s.stride[1] + v - s.padding[1];
                            if (row >= 0 && column >= 0 && row < s.height && column < s.width)
                                elements.push_back({((o * s.height + row) * s.width + column) * s.inner + c, int(u * s.kernel[1] + v)});
                        }
                    f(((o * s.out_height + i) * s.out_width + j) * s.inner + c, elements);
                }
}

Expected expect_max(const PoolShape& s, const Floats& x, const Floats& g) {
    Expected found{Floats(g.size()), Floats(x.size()), std::vector<uint8_t>(g.size())};
    for_windows(s, [&](int64_t at, const auto& elements) {
        auto best = elements.front();
        for (const auto& element : elements)
            if (x[element.first] > x[best.first] || (std::isnan(x[element.first]) && !std::isnan(x[best.first]))) best = element;
        found.pooled[at] = x[best.first];
        found.winners[at] = uint8_t(best.second);
        found.image[best.first] += g[at];
    });
    return found;
}

Expected expect_average(const PoolShape& s, const Floats& x, const Floats& g) {
    Expected found{Floats(g.size()), Floats(x.size()), {}};
    for_windows(s, [&](int64_t at, const auto& elements) {
        const float count = s.count_padding ? float(s.kernel[0] * s.kernel[1]) : float(elements.size());
        for (const auto& element : elements) {
            found.pooled[at] += x[element.first] / count;
            found.image[element.first] += g[at] / count;
        }
    });
    return found;
}

template <class Numbers>
Floats pooled(Pooling kind, const PoolShape& shape, DType type, const Numbers& from, size_t size, std::vector<uint8_t>* winners, int threads) {
    Numbers source = from, to(size);
    std::vector<uint8_t> none;
    run(std::make_unique<Pool>("pool", kind, shape, type, Place{1, 0}, Place{2, 0}, Place{3, 0}, winners != nullptr), threads, source, to,
        winners ? *winners : none);
    if constexpr (std::is_same_v<Numbers, Halves>) return widen(to);
    else return to;
}

std::string name_of(const Windows& w, DType type, const char* what) {
    return std::string(what) + " of windows " + std::to_string(&w - WINDOWS) + (type == DType::bf16 ? " in bfloat16" : "");
}

template <class Numbers>
void check_windows(const Windows& windows, DType type, int threads, double tolerance, const Floats& x, const Floats& g, const Numbers& stored_x,
                   const Numbers& stored_g) {
    const auto shape = windows.shape(true);
    auto expected = expect_max(shape, x, g);
    std::vector<uint8_t> winners(g.size(), 255);
    check_near(name_of(windows, type, "max"), pooled(Pooling::max, shape, type, stored_x, g.size(), &winners, threads), expected.pooled, 0, 0);
    check_near(name_of(windows, type, "max without winners"), pooled(Pooling::max, shape, type, stored_x, g.size(), nullptr, threads),
               expected.pooled, 0, 0);
    if (winners != expected.winners) fail(name_of(windows, type, "winners"));
    check_near(name_of(windows, type, "max gradient"), pooled(Pooling::max_gradient, shape, type, stored_g, x.size(), &winners, threads),
               expected.image, 0, 0);
    for (const bool count_padding : {true, false}) {
        const auto average = windows.shape(count_padding);
        expected = expect_average(average, x, g);
        check_near(name_of(windows, type, "average"), pooled(Pooling::average, average, type, stored_x, g.size(), nullptr, threads), expected.pooled,
                   tolerance, tolerance);
        check_near(name_of(windows, type, "average gradient"), pooled(Pooling::average_gradient, average, type, stored_g, x.size(), nullptr, threads),
                   expected.image, 4 * tolerance, 4 * tolerance);
    }
}

// bfloat16 has eight bits, and gradients are added up in it.
TEST(pooling) {
    for (const auto& windows : WINDOWS) {
        const auto s = windows.shape(true);
        const Floats x = whole_numbers(s.outer * s.height * s.width * s.inner, 1),
                     g = whole_numbers(s.outer * s.out_height * s.out_width * s.inner, 2);
        for (const int threads : {1, 3}) {
            check_windows(windows, DType::f32, threads, 1e-6, x, g, x, g);
            check_windows(windows, DType::bf16, threads, 1.0 / 128, x, g, narrow(x), narrow(g));
        }
    }
}

TEST(max_pooling_of_special_numbers) {
    const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
    const PoolShape blocks{1, 2, 4, 16, 1, 2, {2, 2}, {2, 2}, {0, 0}, true};
    const PoolShape single{16, 2, 4, 1, 1, 2, {2, 2}, {2, 2}, {0, 0}, true};
    for (const bool in_blocks : {true, false}) {
        const auto& shape = in_blocks ? blocks : single;
        const Floats left{nan, 1, nan, 7}, right{-infinity, -infinity, -infinity, -infinity};  // two windows, row by row
        Floats x(16 * 8);
        for (int64_t c = 0; c < 16; ++c)
            for (int64_t row = 0; row < 2; ++row)
                for (int64_t column = 0; column < 4; ++column)
                    x[in_blocks ? (row * 4 + column) * 16 + c : (c * 2 + row) * 4 + column] =
                        column < 2 ? left[row * 2 + column] : right[row * 2 + column - 2];
        std::vector<uint8_t> winners(32, 9);
        const Floats y = pooled(Pooling::max, shape, DType::f32, x, 32, &winners, 1);
        for (int64_t c = 0; c < 16; ++c) {
            const int64_t first = in_blocks ? c : 2 * c, second = in_blocks ? 16 + c : 2 * c + 1;
            CHECK(std::isnan(y[first]) && winners[first] == 0);
            CHECK(y[second] == -infinity && winners[second] == 0);
        }
    }
}

}  // namespace
}  // namespace pellucid::test
