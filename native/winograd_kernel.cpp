// Compiled for AVX-512 with WINOGRAD_TAPS 3 and 5, and with 3 for AVX512_BF16 and images of that type; so nothing of the
// standard library's is instantiated here that other files might share.
#include "winograd_kernel.hpp"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace pellucid {
namespace {

using Floats = float __attribute__((vector_size(64)));

constexpr int TAPS = WINOGRAD_TAPS, SIDE = TAPS + 1, POSITIONS = SIDE * SIDE;

constexpr int MOST_TILES = 28;  // sums in registers: with one weight they leave three of the 32 free

inline Floats load(const float* from) {
    Floats value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
inline void store(float* to, Floats value) { __builtin_memcpy(to, &value, sizeof value); }

#ifdef __AVX512BF16__

using Element = uint16_t;
using Halves = uint16_t __attribute__((vector_size(32)));
using Words = uint32_t __attribute__((vector_size(64)));
constexpr bool PAIRS = true;

inline Halves narrow(Floats value) {
    __m512 wide;
    __builtin_memcpy(&wide, &value, sizeof wide);
    const __m256bh half = _mm512_cvtneps_pbh(wide);
    Halves result;
    __builtin_memcpy(&result, &half, sizeof result);
    return result;
}
inline Floats load(const uint16_t* from) {
    Halves half;
    __builtin_memcpy(&half, from, sizeof half);
    const Words wide = __builtin_convertvector(half, Words) << 16;
    Floats value;
    __builtin_memcpy(&value, &wide, sizeof value);
    return value;
}
inline void store(uint16_t* to, Floats value) {
    const Halves half = narrow(value);
    __builtin_memcpy(to, &half, sizeof half);
}
// Element by element one of `a`, then one of `b`.
inline void store_pairs(uint16_t* to, Floats a, Floats b) {
    const Words both = __builtin_convertvector(narrow(a), Words) | __builtin_convertvector(narrow(b), Words) << 16;
    __builtin_memcpy(to, &both, sizeof both);
}
// sum + a[2 k] * b[0] + a[2 k + 1] * b[1] in every lane k.
inline Floats add_product(Floats sum, const uint16_t* a, const uint16_t* b) {
    __m512 total;
    __m512bh left;
    int32_t pair;
    __builtin_memcpy(&total, &sum, sizeof total);
    __builtin_memcpy(&left, a, sizeof left);
    __builtin_memcpy(&pair, b, sizeof pair);
    const __m512i spread = _mm512_set1_epi32(pair);
    __m512bh right;
    __builtin_memcpy(&right, &spread, sizeof right);
    total = _mm512_dpbf16_ps(total, left, right);
    __builtin_memcpy(&sum, &total, sizeof sum);
    return sum;
}
constexpr int DEPTH = 2;  // products of one instruction in every lane

#else

using Element = float;
constexpr bool PAIRS = false;

inline void store_pairs(float*, Floats, Floats) {}
inline Floats add_product(Floats sum, const float* a, const float* b) { return sum + load(a) * *b; }
constexpr int DEPTH = 1;

#endif

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

// One axis of each transform; values lie `step` apart.
#if WINOGRAD_TAPS == 3

inline void input_line(const Floats* d, int step, Floats* to) {
    to[0] = d[0] - d[2 * step];
    to[step] = d[step] + d[2 * step];
    to[2 * step] = d[2 * step] - d[step];
    to[3 * step] = d[step] - d[3 * step];
}
inline void slope_line(Floats first, Floats second, int step, Floats* to) {
    to[0] = first;
    to[step] = first + second;
    to[2 * step] = first - second;
    to[3 * step] = -second;
}
inline void output_line(const Floats* m, int step, Floats* first, Floats* second) {
    *first = m[0] + m[step] + m[2 * step];
    *second = m[step] - m[2 * step] - m[3 * step];
}
inline void weight_line(const Floats* g, int step, Floats* to, int to_step) {
    const Floats ends = g[0] + g[2 * step];
    to[0] = g[0];
    to[to_step] = 0.5f * (ends + g[step]);
    to[2 * to_step] = 0.5f * (ends - g[step]);
    to[3 * to_step] = g[2 * step];
}
inline void sums_line(const Floats* s, int step, Floats* to, int to_step) {
    const Floats even = 0.5f * (s[step] + s[2 * step]);
    to[0] = s[0] + even;
    to[to_step] = 0.5f * (s[step] - s[2 * step]);
    to[2 * to_step] = even + s[3 * step];
}

#else

inline void input_line(const Floats* d, int step, Floats* to) {
    const Floats a = d[4 * step] - 4.0f * d[2 * step], b = d[3 * step] - 4.0f * d[step];
    const Floats c = d[4 * step] - d[2 * step], e = 2.0f * (d[3 * step] - d[step]);
    to[0] = 4.0f * d[0] - 5.0f * d[2 * step] + d[4 * step];
    to[step] = a + b;
    to[2 * step] = a - b;
    to[3 * step] = c + e;
    to[4 * step] = c - e;
    to[5 * step] = 4.0f * d[step] - 5.0f * d[3 * step] + d[5 * step];
}
inline void output_line(const Floats* m, int step, Floats* first, Floats* second) {
    *first = m[0] + (m[step] + m[2 * step]) + (m[3 * step] + m[4 * step]);
    *second = (m[step] - m[2 * step]) + 2.0f * (m[3 * step] - m[4 * step]) + m[5 * step];
}
inline void weight_line(const Floats* g, int step, Floats* to, int to_step) {
    const Floats even = g[0] + g[2 * step] + g[4 * step], odd = g[step] + g[3 * step];
    const Floats far = g[0] + 4.0f * g[2 * step] + 16.0f * g[4 * step], slant = 2.0f * g[step] + 8.0f * g[3 * step];
    to[0] = 0.25f * g[0];
    to[to_step] = (even + odd) * (-1.0f / 6.0f);
    to[2 * to_step] = (even - odd) * (-1.0f / 6.0f);
    to[3 * to_step] = (far + slant) * (1.0f / 24.0f);
    to[4 * to_step] = (far - slant) * (1.0f / 24.0f);
    to[5 * to_step] = g[4 * step];
}

#endif

template <int COUNT>
void multiply_tiles(const Element* u, const Element* v, int64_t in_blocks, int64_t v_step, float* m) {
    Floats sum[COUNT];
#pragma GCC unroll 28
    for (int t = 0; t < COUNT; ++t) sum[t] = Floats{};
    for (int64_t b = 0; b < in_blocks; ++b, v += v_step)
        for (int64_t c = 0; c < BLOCK; c += DEPTH, u += BLOCK * DEPTH) {
#pragma GCC unroll 28
            for (int t = 0; t < COUNT; ++t) sum[t] = add_product(sum[t], u, v + t * BLOCK + c);
        }
#pragma GCC unroll 28
    for (int t = 0; t < COUNT; ++t) store(m + t * BLOCK, sum[t]);
}

using Multiply = void (*)(const Element*, const Element*, int64_t, int64_t, float*);

template <int... COUNT>
struct Table {
    static constexpr Multiply entries[] = {multiply_tiles<COUNT>...};
};
using Multiplies = Table<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, MOST_TILES>;

void transform_weight(const float* weight, WeightOrder order, Tiles u) {
    Floats even[POSITIONS] = {}, now[POSITIONS];
    for (int64_t c = 0; c < BLOCK; ++c) {
        alignas(64) float taps[TAPS * TAPS][BLOCK];
        for (int64_t o = 0; o < BLOCK; ++o) {
            const float* from = weight + c * order.in_stride + o * order.out_stride;
            for (int k = 0; k < TAPS * TAPS; ++k) taps[order.turned ? TAPS * TAPS - 1 - k : k][o] = from[k];
        }
        Floats values[TAPS * TAPS], lines[SIDE * TAPS];
        for (int k = 0; k < TAPS * TAPS; ++k) values[k] = load(taps[k]);
        for (int j = 0; j < TAPS; ++j) weight_line(values + j, TAPS, lines + j, TAPS);
        for (int i = 0; i < SIDE; ++i) weight_line(lines + i * TAPS, 1, now + i * SIDE, 1);
        for (int k = 0; k < POSITIONS; ++k) {
            Element* to = static_cast<Element*>(u.data) + k * u.stride;
            if (!PAIRS) store(to + c * BLOCK, now[k]);
            else if (c % 2) store_pairs(to + (c - 1) * BLOCK, even[k], now[k]);
            even[k] = now[k];
        }
    }
}

// Writes the positions of one tile after another, singly or two at a time.
class Writer {
public:
    Writer(Element* to, int64_t stride, bool pairs) : to_(to), stride_(stride), pairs_(PAIRS && pairs) {}

    void write(const Floats* positions) {
        if (!pairs_) {
#pragma GCC unroll 36
            for (int k = 0; k < POSITIONS; ++k) store(to_ + k * stride_, positions[k]);
            to_ += BLOCK;
            return;
        }
        if (waiting_) flush(positions);
        else
            for (int k = 0; k < POSITIONS; ++k) first_[k] = positions[k];
        waiting_ = !waiting_;
    }

    // The last tile of an odd number has no partner.
    void finish() {
        const Floats zeros[POSITIONS] = {};
        if (waiting_) flush(zeros);
    }

private:
    void flush(const Floats* second) {
        for (int k = 0; k < POSITIONS; ++k) store_pairs(to_ + k * stride_, first_[k], second[k]);
        to_ += 2 * BLOCK;
    }

    Element* to_;
    int64_t stride_;
    bool pairs_, waiting_ = false;
    Floats first_[POSITIONS] = {};
};

int64_t panel(int64_t count, bool pairs) { return (PAIRS && pairs ? (count + 1) / 2 * 2 : count) * BLOCK; }

void transform_input(const WinogradShape& s, const void* x, Span tiles, bool pairs, Tiles v) {
    const int64_t image = s.height * s.width * BLOCK;
    for (int64_t block = 0; block < s.in_blocks; ++block) {
        Place at = place(s, tiles.first);
        Writer writer(static_cast<Element*>(v.data) + block * panel(tiles.count(), pairs), v.stride, pairs);
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at)) {
            const int64_t row = 2 * at.row - s.padding[0], column = 2 * at.column - s.padding[1];
            const Element* from = static_cast<const Element*>(x) + (at.image * s.in_blocks + block) * image + (row * s.width + column) * BLOCK;
            Floats d[POSITIONS], half[POSITIONS];
            if (row >= 0 && column >= 0 && row + SIDE <= s.height && column + SIDE <= s.width) {
#pragma GCC unroll 36
                for (int k = 0; k < POSITIONS; ++k) d[k] = load(from + (k / SIDE * s.width + k % SIDE) * BLOCK);
            } else {
                for (int k = 0; k < POSITIONS; ++k) {
                    const int64_t r = row + k / SIDE, c = column + k % SIDE;
                    const bool inside = r >= 0 && c >= 0 && r < s.height && c < s.width;
                    d[k] = inside ? load(from + (k / SIDE * s.width + k % SIDE) * BLOCK) : Floats{};
                }
            }
#pragma GCC unroll 6
            for (int j = 0; j < SIDE; ++j) input_line(d + j, SIDE, half + j);
#pragma GCC unroll 6
            for (int i = 0; i < SIDE; ++i) input_line(half + SIDE * i, 1, d + SIDE * i);
            writer.write(d);
        }
        writer.finish();
    }
}

#if WINOGRAD_TAPS == 3  // the gradient of a 5x5 weight loses a digit this way

void transform_slope(const WinogradShape& s, const void* y, Span tiles, Span blocks, Tiles d) {
    const int64_t image = s.out_height * s.out_width * BLOCK;
    for (int64_t block = blocks.first; block < blocks.last; ++block) {
        Place at = place(s, tiles.first);
        Writer writer(static_cast<Element*>(d.data) + (block - blocks.first) * panel(tiles.count(), true), d.stride, true);
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at)) {
            const int64_t row = 2 * at.row, column = 2 * at.column;
            const Element* from =
                static_cast<const Element*>(y) + (at.image * s.out_blocks + block) * image + (row * s.out_width + column) * BLOCK;
            const bool right = column + 1 < s.out_width, below = row + 1 < s.out_height;
            const Element* under = from + s.out_width * BLOCK;
            const Floats zero{};
            const Floats a = load(from), b = right ? load(from + BLOCK) : zero;
            const Floats c = below ? load(under) : zero, e = right && below ? load(under + BLOCK) : zero;
            Floats left[SIDE], other[SIDE], positions[POSITIONS];
            slope_line(a, c, 1, left);
            slope_line(b, e, 1, other);
#pragma GCC unroll 6
            for (int i = 0; i < SIDE; ++i) slope_line(left[i], other[i], 1, positions + SIDE * i);
            writer.write(positions);
        }
        writer.finish();
    }
}

#endif

void multiply(const WinogradShape& s, const void* u, Tiles v, int64_t count, Span blocks, Tiles m) {
    const int64_t weights = s.in_blocks * BLOCK * BLOCK, step = count * BLOCK;
    const int64_t parts = (count + MOST_TILES - 1) / MOST_TILES;
    for (int64_t position = 0; position < POSITIONS; ++position)
        for (int64_t block = blocks.first; block < blocks.last; ++block) {
            const Element* by = static_cast<const Element*>(u) + (position * s.out_blocks + block) * weights;
            for (int64_t part = 0; part < parts; ++part) {
                const int64_t first = count * part / parts, last = count * (part + 1) / parts;
                Multiplies::entries[last - first - 1](by, static_cast<const Element*>(v.data) + position * v.stride + first * BLOCK, s.in_blocks,
                                                      step, static_cast<float*>(m.data) + position * m.stride +
                                                                ((block - blocks.first) * count + first) * BLOCK);
            }
        }
}

void transform_output(const WinogradShape& s, Tiles m, Span tiles, Span blocks, WinogradEpilogue epilogue, void* y) {
    const int64_t image = s.out_height * s.out_width * BLOCK;
    for (int64_t block = blocks.first; block < blocks.last; ++block) {
        const Floats bias = epilogue.bias ? load(epilogue.bias + block * BLOCK) : Floats{};
        Place at = place(s, tiles.first);
        const float* from = static_cast<const float*>(m.data) + (block - blocks.first) * tiles.count() * BLOCK;
        for (int64_t t = tiles.first; t < tiles.last; ++t, next(s, at), from += BLOCK) {
            Floats values[POSITIONS], sums[2][SIDE];
#pragma GCC unroll 36
            for (int k = 0; k < POSITIONS; ++k) values[k] = load(from + k * m.stride);
#pragma GCC unroll 6
            for (int j = 0; j < SIDE; ++j) output_line(values + j, SIDE, &sums[0][j], &sums[1][j]);
            const int64_t offset = (at.image * s.out_blocks + block) * image;
            for (int i = 0; i < 2; ++i) {
                Floats pair[2];
                output_line(sums[i], 1, &pair[0], &pair[1]);
                for (int j = 0; j < 2; ++j) {
                    const int64_t row = 2 * at.row + i, column = 2 * at.column + j;
                    if (row >= s.out_height || column >= s.out_width) continue;
                    const int64_t where = offset + (row * s.out_width + column) * BLOCK;
                    Floats value = pair[j] + bias;
                    if (epilogue.residual) value += load(static_cast<const Element*>(epilogue.residual) + where);
                    if (epilogue.relu) value = value < 0.0f ? Floats{} : value;
                    store(static_cast<Element*>(y) + where, value);
                }
            }
        }
    }
}

#if WINOGRAD_TAPS == 3

void accumulate(Tiles v, int64_t in_block, Tiles d, int64_t out_block, int64_t count, float* sums, int64_t stride) {
    const int64_t length = panel(count, true);
    for (int64_t position = 0; position < POSITIONS; ++position) {
        float* to = sums + position * stride;
        const Element* from = static_cast<const Element*>(v.data) + position * v.stride + in_block * length;
        const Element* slope = static_cast<const Element*>(d.data) + position * d.stride + out_block * length;
        Floats sum[BLOCK];
#pragma GCC unroll 16
        for (int c = 0; c < BLOCK; ++c) sum[c] = load(to + c * BLOCK);
        for (const Element* end = from + length; from < end; from += BLOCK * DEPTH, slope += BLOCK * DEPTH) {
#pragma GCC unroll 16
            for (int c = 0; c < BLOCK; ++c) sum[c] = add_product(sum[c], slope, from + c * DEPTH);
        }
#pragma GCC unroll 16
        for (int c = 0; c < BLOCK; ++c) store(to + c * BLOCK, sum[c]);
    }
}

void transform_sums(const float* sums, int64_t stride, WeightOrder order, float* weight) {
    for (int64_t c = 0; c < BLOCK; ++c) {
        Floats values[POSITIONS], lines[TAPS * SIDE], results[TAPS * TAPS];
        for (int k = 0; k < POSITIONS; ++k) values[k] = load(sums + k * stride + c * BLOCK);
        for (int j = 0; j < SIDE; ++j) sums_line(values + j, SIDE, lines + j, SIDE);
        for (int i = 0; i < TAPS; ++i) sums_line(lines + i * SIDE, 1, results + i * TAPS, 1);
        alignas(64) float taps[TAPS * TAPS][BLOCK];
        for (int k = 0; k < TAPS * TAPS; ++k) store(taps[k], results[k]);
        for (int64_t o = 0; o < BLOCK; ++o) {
            float* to = weight + c * order.in_stride + o * order.out_stride;
            for (int k = 0; k < TAPS * TAPS; ++k) to[k] = taps[k][o];
        }
    }
}

#endif

}  // namespace

#ifdef __AVX512BF16__
const WinogradKernels winograd_bf16
#elif WINOGRAD_TAPS == 3
const WinogradKernels winograd_f32
#else
const WinogradKernels winograd_f32_taps5
#endif
    {TAPS, POSITIONS, sizeof(Element), PAIRS, transform_weight, transform_input, multiply, transform_output,
#if WINOGRAD_TAPS == 3
     transform_slope, accumulate, transform_sums};
#else
     nullptr, nullptr, nullptr};
#endif

}  // namespace pellucid
