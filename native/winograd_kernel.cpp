// Compiled for AVX-512, so nothing of the standard library's is instantiated here that other files might share.
#include "winograd_kernel.hpp"

namespace pellucid {
namespace {

using Floats = float __attribute__((vector_size(64)));

constexpr int MOST_TILES = 28;  // sums in registers: with one weight they leave three of the 32 free

inline Floats load(const float* from) {
    Floats value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
inline void store(float* to, Floats value) { __builtin_memcpy(to, &value, sizeof value); }

struct Place {
    int64_t image, row, column;  // of a tile
};

inline Place place(const WinogradShape& s, int64_t tile) {
    const int64_t across = s.tiles_across(), per_image = across * s.tiles_down();
    return {tile / per_image, tile % per_image / across, tile % across};
}

inline void next(const WinogradShape& s, Place& at) {
    if (++at.column < s.tiles_across()) return;
    at.column = 0;
    if (++at.row < s.tiles_down()) return;
    at.row = 0;
    ++at.image;
}

// B^T applied to four values a step apart.
inline void input_line(const Floats* d, int step, Floats* to) {
    to[0] = d[0] - d[2 * step];
    to[step] = d[step] + d[2 * step];
    to[2 * step] = d[2 * step] - d[step];
    to[3 * step] = d[step] - d[3 * step];
}

// A applied to two values a step apart.
inline void slope_line(Floats first, Floats second, int step, Floats* to) {
    to[0] = first;
    to[step] = first + second;
    to[2 * step] = first - second;
    to[3 * step] = -second;
}

template <int COUNT>
void multiply_tiles(const float* u, const float* v, int64_t in_blocks, int64_t v_step, float* m) {
    Floats sum[COUNT];
#pragma GCC unroll 28
    for (int t = 0; t < COUNT; ++t) sum[t] = Floats{};
    for (int64_t b = 0; b < in_blocks; ++b, v += v_step)
        for (int64_t c = 0; c < CHANNELS; ++c, u += CHANNELS) {
            const Floats weight = load(u);
#pragma GCC unroll 28
            for (int t = 0; t < COUNT; ++t) sum[t] += weight * v[t * CHANNELS + c];
        }
#pragma GCC unroll 28
    for (int t = 0; t < COUNT; ++t) store(m + t * CHANNELS, sum[t]);
}

using Multiply = void (*)(const float*, const float*, int64_t, int64_t, float*);

template <int... COUNT>
struct Table {
    static constexpr Multiply entries[] = {multiply_tiles<COUNT>...};
};
using Multiplies = Table<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, MOST_TILES>;

}  // namespace

void winograd_weight(const float* weight, WeightOrder order, float* u, int64_t stride) {
    for (int64_t c = 0; c < CHANNELS; ++c) {
        alignas(64) float taps[9][CHANNELS];
        for (int64_t o = 0; o < CHANNELS; ++o) {
            const float* from = weight + c * order.in_stride + o * order.out_stride;
            for (int k = 0; k < 9; ++k) taps[order.turned ? 8 - k : k][o] = from[k];
        }
        Floats lines[4][3];
        for (int j = 0; j < 3; ++j) {
            const Floats a = load(taps[j]), b = load(taps[3 + j]), d = load(taps[6 + j]);
            lines[0][j] = a;
            lines[1][j] = 0.5f * (a + d + b);
            lines[2][j] = 0.5f * (a + d - b);
            lines[3][j] = d;
        }
        for (int i = 0; i < 4; ++i) {
            const Floats a = lines[i][0], b = lines[i][1], d = lines[i][2];
            float* to = u + 4 * i * stride + c * CHANNELS;
            store(to, a);
            store(to + stride, 0.5f * (a + d + b));
            store(to + 2 * stride, 0.5f * (a + d - b));
            store(to + 3 * stride, d);
        }
    }
}

void winograd_input(const WinogradShape& s, const float* x, Span tiles, Tiles v) {
    const int64_t image = s.height * s.width * CHANNELS;
    for (int64_t block = 0; block < s.in_blocks; ++block) {
        Place at = place(s, tiles.first);
        float* to = v.data + block * tiles.count() * CHANNELS;
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at), to += CHANNELS) {
            const int64_t row = 2 * at.row - s.padding[0], column = 2 * at.column - s.padding[1];
            const float* from = x + (at.image * s.in_blocks + block) * image + (row * s.width + column) * CHANNELS;
            Floats d[POSITIONS], half[POSITIONS];
            if (row >= 0 && column >= 0 && row + 4 <= s.height && column + 4 <= s.width) {
#pragma GCC unroll 16
                for (int k = 0; k < POSITIONS; ++k) d[k] = load(from + (k / 4 * s.width + k % 4) * CHANNELS);
            } else {
                for (int k = 0; k < POSITIONS; ++k) {
                    const int64_t r = row + k / 4, c = column + k % 4;
                    const bool inside = r >= 0 && c >= 0 && r < s.height && c < s.width;
                    d[k] = inside ? load(from + (k / 4 * s.width + k % 4) * CHANNELS) : Floats{};
                }
            }
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) input_line(d + j, 4, half + j);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                input_line(half + 4 * i, 1, d + 4 * i);
                for (int j = 0; j < 4; ++j) store(to + (4 * i + j) * v.stride, d[4 * i + j]);
            }
        }
    }
}

void winograd_slope(const WinogradShape& s, const float* y, Span tiles, Span blocks, Tiles d) {
    const int64_t image = s.out_height * s.out_width * CHANNELS;
    for (int64_t block = blocks.first; block < blocks.last; ++block) {
        Place at = place(s, tiles.first);
        float* to = d.data + (block - blocks.first) * tiles.count() * CHANNELS;
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at), to += CHANNELS) {
            const int64_t row = 2 * at.row, column = 2 * at.column;
            const float* from = y + (at.image * s.out_blocks + block) * image + (row * s.out_width + column) * CHANNELS;
            const bool right = column + 1 < s.out_width, below = row + 1 < s.out_height;
            const float* under = from + s.out_width * CHANNELS;
            const Floats zero{};
            const Floats a = load(from), b = right ? load(from + CHANNELS) : zero;
            const Floats c = below ? load(under) : zero, e = right && below ? load(under + CHANNELS) : zero;
            Floats left[4], other[4], line[4];
            slope_line(a, c, 1, left);
            slope_line(b, e, 1, other);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                slope_line(left[i], other[i], 1, line);
                for (int j = 0; j < 4; ++j) store(to + (4 * i + j) * d.stride, line[j]);
            }
        }
    }
}

void winograd_multiply(const WinogradShape& s, const float* u, Tiles v, int64_t count, Span blocks, Tiles m) {
    const int64_t panel = s.in_blocks * CHANNELS * CHANNELS, step = count * CHANNELS;
    const int64_t parts = (count + MOST_TILES - 1) / MOST_TILES;
    for (int64_t position = 0; position < POSITIONS; ++position)
        for (int64_t block = blocks.first; block < blocks.last; ++block) {
            const float* weights = u + (position * s.out_blocks + block) * panel;
            for (int64_t part = 0; part < parts; ++part) {
                const int64_t first = count * part / parts, last = count * (part + 1) / parts;
                Multiplies::entries[last - first - 1](weights, v.data + position * v.stride + first * CHANNELS, s.in_blocks, step,
                                                      m.data + position * m.stride + ((block - blocks.first) * count + first) * CHANNELS);
            }
        }
}

void winograd_output(const WinogradShape& s, Tiles m, Span tiles, Span blocks, WinogradEpilogue epilogue, float* y) {
    const int64_t image = s.out_height * s.out_width * CHANNELS;
    for (int64_t block = blocks.first; block < blocks.last; ++block) {
        const Floats bias = epilogue.bias ? load(epilogue.bias + block * CHANNELS) : Floats{};
        Place at = place(s, tiles.first);
        const float* from = m.data + (block - blocks.first) * tiles.count() * CHANNELS;
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at), from += CHANNELS) {
            Floats sums[2][4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                const Floats a = load(from + j * m.stride), b = load(from + (4 + j) * m.stride);
                const Floats c = load(from + (8 + j) * m.stride), d = load(from + (12 + j) * m.stride);
                sums[0][j] = a + b + c;
                sums[1][j] = b - c - d;
            }
            const int64_t offset = (at.image * s.out_blocks + block) * image;
            for (int i = 0; i < 2; ++i) {
                const Floats* line = sums[i];
                const Floats pair[2] = {line[0] + line[1] + line[2] + bias, line[1] - line[2] - line[3] + bias};
                for (int j = 0; j < 2; ++j) {
                    const int64_t row = 2 * at.row + i, column = 2 * at.column + j;
                    if (row >= s.out_height || column >= s.out_width) continue;
                    const int64_t where = offset + (row * s.out_width + column) * CHANNELS;
                    Floats value = pair[j];
                    if (epilogue.residual) value += load(epilogue.residual + where);
                    if (epilogue.relu) value = value < 0.0f ? Floats{} : value;
                    store(y + where, value);
                }
            }
        }
    }
}

void winograd_accumulate(Tiles v, int64_t in_block, Tiles d, int64_t out_block, int64_t count, float* sums, int64_t stride) {
    for (int64_t position = 0; position < POSITIONS; ++position) {
        float* to = sums + position * stride;
        const float* from = v.data + position * v.stride + in_block * count * CHANNELS;
        const float* slope = d.data + position * d.stride + out_block * count * CHANNELS;
        Floats sum[CHANNELS];
#pragma GCC unroll 16
        for (int c = 0; c < CHANNELS; ++c) sum[c] = load(to + c * CHANNELS);
        for (int64_t t = 0; t < count; ++t, from += CHANNELS, slope += CHANNELS) {
            const Floats g = load(slope);
#pragma GCC unroll 16
            for (int c = 0; c < CHANNELS; ++c) sum[c] += g * from[c];
        }
#pragma GCC unroll 16
        for (int c = 0; c < CHANNELS; ++c) store(to + c * CHANNELS, sum[c]);
    }
}

void winograd_weight_gradient(const float* sums, int64_t stride, WeightOrder order, float* weight) {
    for (int64_t c = 0; c < CHANNELS; ++c) {
        Floats lines[3][4];
        for (int j = 0; j < 4; ++j) {
            const float* from = sums + j * stride + c * CHANNELS;
            const Floats a = load(from), b = load(from + 4 * stride), d = load(from + 8 * stride), e = load(from + 12 * stride);
            lines[0][j] = a + 0.5f * (b + d);
            lines[1][j] = 0.5f * (b - d);
            lines[2][j] = 0.5f * (b + d) + e;
        }
        alignas(64) float taps[9][CHANNELS];
        for (int i = 0; i < 3; ++i) {
            const Floats a = lines[i][0], b = lines[i][1], d = lines[i][2], e = lines[i][3];
            store(taps[3 * i], a + 0.5f * (b + d));
            store(taps[3 * i + 1], 0.5f * (b - d));
            store(taps[3 * i + 2], 0.5f * (b + d) + e);
        }
        for (int64_t o = 0; o < CHANNELS; ++o) {
            float* to = weight + c * order.in_stride + o * order.out_stride;
            for (int k = 0; k < 9; ++k) to[k] = taps[k][o];
        }
    }
}

}  // namespace pellucid
