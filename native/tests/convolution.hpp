// Convolutions by definition, over images in blocks of sixteen channels.
#pragma once

#include "check.hpp"

namespace pellucid::test {

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

inline int64_t blocked(int64_t image, int64_t channel, int64_t channels, int64_t row, int64_t column, int64_t height, int64_t width) {
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

inline Floats expected_weight_gradient(const Sizes& s, const Floats& x, const Floats& g) {
    Floats sums(s.weight_size());
    for_products(s, [&](int64_t in, int64_t out, int64_t weight) { sums[weight] += x[in] * g[out]; });
    return sums;
}

}  // namespace pellucid::test
