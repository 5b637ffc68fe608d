#include "winograd.hpp"

#include <algorithm>
#include <cstring>

#include "parallel.hpp"

namespace pellucid {
namespace {

constexpr int64_t SQUARE = BLOCK * BLOCK;  // elements of a weight between two blocks, at one position
constexpr int64_t LINE = 32;  // elements of a cache line or two, which keep the 16 positions of a tile off the same cache set

int64_t position_stride(int64_t blocks, int64_t tiles) { return blocks * (tiles + tiles % 2) * BLOCK + LINE; }

// Tiles that are transformed and multiplied together: few enough for the second-level cache, enough to reuse weights.
int64_t chunk_size(const WinogradKernels& kernels, const WinogradShape& s, int64_t least) {
    return std::clamp<int64_t>(12288 / kernels.positions / (s.in_blocks + s.out_blocks) / 28 * 28, least, 112);
}

constexpr int64_t CONVOLUTION_LEAST = 28, GRADIENT_LEAST = 56;

Span share(int64_t total, int64_t number, int64_t of) { return {total * number / of, total * (number + 1) / of}; }

// Calls work(tiles) for chunks of nearly the same size.
template <class F>
void for_chunks(Span tiles, int64_t size, F work) {
    const int64_t count = (tiles.count() + size - 1) / size;
    for (int64_t i = 0; i < count; ++i) {
        const Span part = share(tiles.count(), i, count);
        work(Span{tiles.first + part.first, tiles.first + part.last});
    }
}

// With few tiles the threads share out the output channels instead.
bool splits_channels(const WinogradShape& s, int threads) {
    return s.tiles() < CONVOLUTION_LEAST * threads && s.out_blocks >= threads;
}

int64_t convolution_floats(const WinogradKernels& kernels, const WinogradShape& s) {
    const int64_t chunk = chunk_size(kernels, s, CONVOLUTION_LEAST);
    return kernels.positions * (position_stride(s.in_blocks, chunk) + position_stride(s.out_blocks, chunk));
}

int64_t gradient_floats(const WinogradKernels& kernels, const WinogradShape& s) {
    const int64_t chunk = chunk_size(kernels, s, GRADIENT_LEAST);
    return kernels.positions * (position_stride(s.in_blocks, chunk) + position_stride(s.out_blocks, chunk));
}

}  // namespace

std::vector<int> winograd_taps(DType type, bool gradient) {
    const bool wide = __builtin_cpu_supports("x86-64-v4");
    std::vector<int> found;
    for (const auto* kernels : {&winograd_f32, &winograd_f32_taps5})
        if (type == DType::f32 && wide && (kernels->accumulate || !gradient)) found.push_back(int(kernels->taps));
    if (type == DType::bf16 && wide && __builtin_cpu_supports("avx512bf16")) found.push_back(int(winograd_bf16.taps));
    return found;
}

const WinogradKernels& winograd_kernels(DType type, int taps) {
    if (taps != 3 && (taps != 5 || type != DType::f32)) throw std::invalid_argument("there is no such filter");
    return type == DType::bf16 ? winograd_bf16 : taps == 3 ? winograd_f32 : winograd_f32_taps5;
}

int64_t winograd_weight_bytes(DType type, int taps, int64_t out_channels, int64_t in_channels) {
    return access("transformed weight", {}, type, {winograd_kernels(type, taps).positions, out_channels, in_channels}).bytes;
}

std::vector<Access> WinogradWeight::accesses() const {
    return {access("weight", weight_, DType::f32, {out_channels_, in_channels_, kernels_.taps, kernels_.taps}),
            access("transformed weight", to_, type_, {kernels_.positions, out_channels_, in_channels_})};
}

void WinogradWeight::run(Context& context, State*) const {
    const float* weight = context.at<float>(weight_);
    char* to = context.at<char>(to_);
    const int64_t taps = kernels_.taps * kernels_.taps;
    const WeightOrder forward{taps, in_channels_ * taps, false}, backward{in_channels_ * taps, taps, true};
    const WeightOrder order = backward_ ? backward : forward;
    const int64_t in_blocks = (backward_ ? out_channels_ : in_channels_) / BLOCK;
    const int64_t out_blocks = (backward_ ? in_channels_ : out_channels_) / BLOCK;
    const int64_t pairs = in_blocks * out_blocks;
    const int workers = int(std::min<int64_t>(context.threads, pairs));
    in_parallel(workers, [&](int me) {
        const Span mine = share(pairs, me, workers);
        for (int64_t pair = mine.first; pair < mine.last; ++pair) {
            const int64_t out = pair / in_blocks, in = pair % in_blocks;
            kernels_.weight(weight + BLOCK * (in * order.in_stride + out * order.out_stride), order,
                            {to + pair * SQUARE * kernels_.element, pairs * SQUARE});
        }
    });
}

int64_t WinogradConvolution::scratch_bytes(int threads) const { return threads * convolution_floats(kernels_, shape_) * int64_t(sizeof(float)); }

std::vector<Access> WinogradConvolution::accesses() const {
    const auto& s = shape_;
    const std::initializer_list<int64_t> result{s.batch, s.out_blocks, BLOCK, s.out_height, s.out_width};
    std::vector<Access> found{access("image", places_.x, type_, {s.batch, s.in_blocks, BLOCK, s.height, s.width}),
                              access("transformed weight", places_.weight, type_, {kernels_.positions, s.out_blocks, BLOCK, s.in_blocks, BLOCK}),
                              access("result", places_.y, type_, result)};
    if (epilogue_.bias) found.push_back(access("bias", places_.bias, DType::f32, {s.out_blocks, BLOCK}));
    if (epilogue_.residual) found.push_back(access("residual", places_.residual, type_, result));
    return found;
}

void WinogradConvolution::run(Context& context, State*) const {
    const auto& s = shape_;
    const int threads = context.threads;
    const void* x = context.at<void>(places_.x);
    const void* weight = context.at<void>(places_.weight);
    void* y = context.at<void>(places_.y);
    const WinogradEpilogue epilogue{epilogue_.bias ? context.at<float>(places_.bias) : nullptr,
                                    epilogue_.residual ? context.at<void>(places_.residual) : nullptr, epilogue_.relu};
    const bool by_channels = splits_channels(s, threads);
    const int64_t chunk = chunk_size(kernels_, s, CONVOLUTION_LEAST);
    in_parallel(threads, [&](int me) {
        float* scratch = reinterpret_cast<float*>(context.scratch) + me * convolution_floats(kernels_, s);
        const Span all{0, s.tiles()}, every{0, s.out_blocks};
        const Span tiles = by_channels ? all : share(s.tiles(), me, threads);
        const Span blocks = by_channels ? share(s.out_blocks, me, threads) : every;
        for_chunks(tiles, chunk, [&](Span part) {
            const Tiles v{scratch, position_stride(s.in_blocks, part.count())};
            const Tiles m{scratch + kernels_.positions * v.stride, position_stride(blocks.count(), part.count())};
            kernels_.input(s, x, part, false, v);
            kernels_.multiply(s, weight, v, part.count(), blocks, m);
            kernels_.output(s, m, part, blocks, epilogue, y);
        });
    });
}

int64_t WinogradWeightGradient::scratch_bytes(int threads) const {
    return (threads * gradient_floats(kernels_, shape_) + kernels_.positions * shape_.in_blocks * shape_.out_blocks * SQUARE) * int64_t(sizeof(float));
}

std::vector<Access> WinogradWeightGradient::accesses() const {
    const auto& s = shape_;
    return {access("image", x_, type_, {s.batch, s.in_blocks, BLOCK, s.height, s.width}),
            access("result's gradient", y_, type_, {s.batch, s.out_blocks, BLOCK, s.out_height, s.out_width}),
            access("weight's gradient", weight_, DType::f32, {s.out_blocks, BLOCK, s.in_blocks, BLOCK, kernels_.taps, kernels_.taps})};
}

void WinogradWeightGradient::run(Context& context, State*) const {
    const auto& s = shape_;
    const int workers = int(std::min<int64_t>(context.threads, s.out_blocks));
    const void* x = context.at<void>(x_);
    const void* y = context.at<void>(y_);
    float* weight = context.at<float>(weight_);
    const int64_t chunk = chunk_size(kernels_, s, GRADIENT_LEAST), pairs = s.in_blocks * s.out_blocks;
    const int64_t taps = kernels_.taps * kernels_.taps;
    const WeightOrder order{taps, s.in_blocks * BLOCK * taps, false};
    in_parallel(workers, [&](int me) {
        const Span blocks = share(s.out_blocks, me, workers);
        float* scratch = reinterpret_cast<float*>(context.scratch) + me * gradient_floats(kernels_, s);
        float* sums = reinterpret_cast<float*>(context.scratch) + context.threads * gradient_floats(kernels_, s);
        for (int64_t position = 0; position < kernels_.positions; ++position)
            std::memset(sums + (position * pairs + blocks.first * s.in_blocks) * SQUARE, 0, blocks.count() * s.in_blocks * SQUARE * sizeof(float));
        for_chunks({0, s.tiles()}, chunk, [&](Span part) {
            const Tiles v{scratch, position_stride(s.in_blocks, part.count())};
            const Tiles d{scratch + kernels_.positions * v.stride, position_stride(blocks.count(), part.count())};
            kernels_.input(s, x, part, true, v);
            kernels_.slope(s, y, part, blocks, d);
            for (int64_t out = blocks.first; out < blocks.last; ++out)
                for (int64_t in = 0; in < s.in_blocks; ++in)
                    kernels_.accumulate(v, in, d, out - blocks.first, part.count(), sums + (out * s.in_blocks + in) * SQUARE, pairs * SQUARE);
        });
        for (int64_t out = blocks.first; out < blocks.last; ++out)
            for (int64_t in = 0; in < s.in_blocks; ++in)
                kernels_.weight_gradient(sums + (out * s.in_blocks + in) * SQUARE, pairs * SQUARE, order,
                                         weight + BLOCK * (in * order.in_stride + out * order.out_stride));
    });
}

}  // namespace pellucid
