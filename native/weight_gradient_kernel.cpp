// The inner loops of the weight gradient; compiled for AVX-512.
#include "weight_gradient.hpp"

#include <algorithm>
#include <cstring>

namespace pellucid {
namespace {

constexpr int64_t CACHED = 24 * 1024;  // bytes of x and y that one pass over the kernel's positions works on

using Floats = float __attribute__((vector_size(64)));

inline Floats load(const float* from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

struct Range {
    int64_t first, last;
};

// Outputs whose input at this kernel position lies inside of the image.
Range inside(int64_t position, int64_t stride, int64_t padding, int64_t dilation, int64_t size, int64_t outputs) {
    const int64_t shift = padding - position * dilation;
    const int64_t first = shift > 0 ? (shift + stride - 1) / stride : 0;
    const int64_t last = size - 1 + shift < 0 ? 0 : (size - 1 + shift) / stride + 1;
    return {first, std::min(last, outputs)};
}

// Adds what one row of outputs gives to the positions of one row of the filter; `wide` of them, whose sums stay in registers.
template <int wide>
void depthwise_row(const DepthwiseShape& s, const float* x, int64_t x_step, const float* y, int64_t y_step, float* sums) {
    const Range left = inside(0, s.stride[1], s.padding[1], s.dilation[1], s.width, s.out_width);
    const Range right = inside(wide - 1, s.stride[1], s.padding[1], s.dilation[1], s.width, s.out_width);
    const int64_t first = std::min(left.first, s.out_width), last = std::max(first, right.last);
    Floats sum[wide];
#pragma GCC unroll 8
    for (int v = 0; v < wide; ++v) sum[v] = load(sums + v * BLOCK);
    auto edge = [&](int64_t j) {
        const Floats g = load(y + j * y_step);
        for (int v = 0; v < wide; ++v) {
            const int64_t column = j * s.stride[1] + v * s.dilation[1] - s.padding[1];
            if (column >= 0 && column < s.width) sum[v] += g * load(x + column * x_step);
        }
    };
    for (int64_t j = 0; j < first; ++j) edge(j);
    for (int64_t j = first; j < last; ++j) {
        const Floats g = load(y + j * y_step);
        const float* from = x + (j * s.stride[1] - s.padding[1]) * x_step;
#pragma GCC unroll 8
        for (int v = 0; v < wide; ++v) sum[v] += g * load(from + v * s.dilation[1] * x_step);
    }
    for (int64_t j = last; j < s.out_width; ++j) edge(j);
#pragma GCC unroll 8
    for (int v = 0; v < wide; ++v) std::memcpy(sums + v * BLOCK, &sum[v], sizeof sum[v]);
}

}  // namespace

void depthwise_gradient_f32(const DepthwiseShape& s, int64_t block, const float* x, const float* y, int64_t first, int64_t last, float* sums) {
    const auto row = s.kernel[1] == 3 ? depthwise_row<3> : s.kernel[1] == 5 ? depthwise_row<5> : depthwise_row<7>;
    const int64_t channels = s.blocks * BLOCK, x_step = s.channels_last[0] ? channels : BLOCK, y_step = s.channels_last[1] ? channels : BLOCK;
    const int64_t x_size = s.height * s.width, y_size = s.out_height * s.out_width;
    const int64_t x_block = block * BLOCK * (s.channels_last[0] ? 1 : x_size), y_block = block * BLOCK * (s.channels_last[1] ? 1 : y_size);
    for (int64_t n = first; n < last; ++n)
        for (int64_t i = 0; i < s.out_height; ++i)
            for (int64_t u = 0; u < s.kernel[0]; ++u) {
                const int64_t line = i * s.stride[0] + u * s.dilation[0] - s.padding[0];
                if (line < 0 || line >= s.height) continue;
                row(s, x + n * channels * x_size + x_block + line * s.width * x_step, x_step,
                    y + n * channels * y_size + y_block + i * s.out_width * y_step, y_step, sums + u * s.kernel[1] * BLOCK);
            }
}

void weight_gradient_f32(const WeightGradientShape& s, int64_t in_block, int64_t out_block, const float* x, const float* y,
                         int64_t first, int64_t last, float* sums) {
    const int64_t x_size = s.height * s.width * BLOCK, y_size = s.out_height * s.out_width * BLOCK;
    const int64_t x_image = s.groups * s.in_blocks * x_size, y_image = s.groups * s.out_blocks * y_size;
    const int64_t row_bytes = (s.out_width + s.stride[0] * s.width) * BLOCK * 4;
    const int64_t most_rows = std::clamp<int64_t>(CACHED / row_bytes, 1, s.out_height);
    const int64_t chunks = (s.out_height + most_rows - 1) / most_rows, rows = (s.out_height + chunks - 1) / chunks;
    const int64_t images = std::max<int64_t>(1, chunks == 1 ? CACHED / (row_bytes * s.out_height) : 1);
    for (int64_t n0 = first; n0 < last; n0 += images)
        for (int64_t i0 = 0; i0 < s.out_height; i0 += rows)
            for (int64_t u = 0; u < s.kernel[0]; ++u) {
                const Range in_rows = inside(u, s.stride[0], s.padding[0], s.dilation[0], s.height, s.out_height);
                const int64_t top = std::max(i0, in_rows.first), bottom = std::min({i0 + rows, in_rows.last, s.out_height});
                for (int64_t v = 0; v < s.kernel[1]; ++v) {
                    const Range columns = inside(v, s.stride[1], s.padding[1], s.dilation[1], s.width, s.out_width);
                    float* to = sums + (u * s.kernel[1] + v) * BLOCK * BLOCK;
                    Floats sum[BLOCK];
#pragma GCC unroll 16
                    for (int64_t c = 0; c < BLOCK; ++c) sum[c] = load(to + c * BLOCK);
                    for (int64_t n = n0; n < std::min(n0 + images, last); ++n)
                        for (int64_t i = top; i < bottom; ++i) {
                            const int64_t row = i * s.stride[0] + u * s.dilation[0] - s.padding[0];
                            const int64_t column = columns.first * s.stride[1] + v * s.dilation[1] - s.padding[1];
                            const float* from = x + n * x_image + in_block * x_size + (row * s.width + column) * BLOCK;
                            const float* slope = y + n * y_image + out_block * y_size + (i * s.out_width + columns.first) * BLOCK;
                            const float* end = slope + (columns.last - columns.first) * BLOCK;
                            for (; slope < end; slope += BLOCK, from += s.stride[1] * BLOCK) {
                                const Floats g = load(slope);
#pragma GCC unroll 16
                                for (int64_t c = 0; c < BLOCK; ++c) sum[c] += g * from[c];
                            }
                        }
#pragma GCC unroll 16
                    for (int64_t c = 0; c < BLOCK; ++c) std::memcpy(to + c * BLOCK, &sum[c], sizeof sum[c]);
                }
            }
}

}  // namespace pellucid
