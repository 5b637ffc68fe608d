#include "weight_gradient.hpp"

#include <algorithm>
#include <cstring>

#include "parallel.hpp"

namespace pellucid {
namespace {

int64_t sums_size(const WeightGradientShape& s) { return s.kernel[0] * s.kernel[1] * BLOCK * BLOCK; }

int64_t pairs(const WeightGradientShape& s) { return s.groups * s.in_blocks * s.out_blocks; }

// sums[position][in][out], of one pair of blocks, to its place in (O, I, kh, kw).
void place_sums(const WeightGradientShape& s, int64_t out_block, int64_t in_block, const float* sums, float* weight) {
    const int64_t positions = s.kernel[0] * s.kernel[1], in_channels = s.in_blocks * BLOCK;
    for (int64_t o = 0; o < BLOCK; ++o)
        for (int64_t c = 0; c < BLOCK; ++c) {
            float* to = weight + ((out_block * BLOCK + o) * in_channels + in_block * BLOCK + c) * positions;
            for (int64_t p = 0; p < positions; ++p) to[p] = sums[(p * BLOCK + c) * BLOCK + o];
        }
}

// Sums are shared out among the threads; where there are too few, each sum's images too.
int64_t parts_of(int64_t sums, int64_t images, int threads) {
    return sums % threads == 0 || sums >= 8 * threads ? 1 : std::min<int64_t>(threads, images);
}

int64_t floats_of(int64_t sums, int64_t parts, int64_t size, int threads) { return (parts > 1 ? parts * sums : threads) * size; }

// Computes each of `number` sums of `size` floats and finishes it: compute(sum, part, floats) makes a part, finish(sum, floats) places all.
template <class Compute, class Finish>
void each_sum(int threads, int64_t number, int64_t parts, int64_t size, float* scratch, Compute compute, Finish finish) {
    auto share = [&](int64_t me, int64_t total, auto work) {
        for (int64_t i = total * me / threads; i < total * (me + 1) / threads; ++i) work(i);
    };
    if (parts == 1) {
        in_parallel(threads, [&](int64_t me) {
            share(me, number, [&](int64_t sum) {
                compute(sum, 0, scratch + me * size);
                finish(sum, scratch + me * size);
            });
        });
        return;
    }
    auto compute_parts = [&](int64_t me) {
        share(me, number * parts, [&](int64_t task) { compute(task / parts, task % parts, scratch + task * size); });
    };
    auto add_parts = [&](int64_t me) {
        share(me, number, [&](int64_t sum) {
            float* sums = scratch + sum * parts * size;
            for (int64_t part = 1; part < parts; ++part)
                for (int64_t k = 0; k < size; ++k) sums[k] += sums[part * size + k];
            finish(sum, sums);
        });
    };
    in_parallel(threads, compute_parts, add_parts);
}

}  // namespace

bool WeightGradient::available() { return __builtin_cpu_supports("x86-64-v4"); }

int64_t WeightGradient::parts(int threads) const { return parts_of(pairs(shape_), shape_.batch, threads); }

int64_t WeightGradient::scratch_bytes(int threads) const {
    return floats_of(pairs(shape_), parts(threads), sums_size(shape_), threads) * int64_t(sizeof(float));
}

std::vector<Access> WeightGradient::accesses() const {
    const auto& s = shape_;
    return {access("image", x_, DType::f32, {s.batch, s.groups, s.in_blocks, BLOCK, s.height, s.width}),
            access("result's gradient", y_, DType::f32, {s.batch, s.groups, s.out_blocks, BLOCK, s.out_height, s.out_width}),
            access("weight's gradient", weight_, DType::f32, {s.groups, s.out_blocks, BLOCK, s.in_blocks, BLOCK, s.kernel[0], s.kernel[1]})};
}

void WeightGradient::run(Context& context, State*) const {
    const auto& s = shape_;
    const int threads = context.threads;
    const int64_t number_of_parts = parts(threads), number_of_pairs = pairs(s), size = sums_size(s);
    const float* x = context.at<float>(x_);
    const float* y = context.at<float>(y_);
    float* weight = context.at<float>(weight_);
    float* scratch = reinterpret_cast<float*>(context.scratch);
    auto finish = [&](int64_t pair, const float* sums) {
        const int64_t out_block = pair / s.in_blocks, in_block = pair % s.in_blocks;
        place_sums(s, out_block, in_block, sums, weight);
    };
    auto compute = [&](int64_t pair, int64_t part, float* sums) {
        const int64_t out_block = pair / s.in_blocks, group = out_block / s.out_blocks;
        std::memset(sums, 0, size * sizeof(float));
        weight_gradient_f32(s, group * s.in_blocks + pair % s.in_blocks, out_block, x, y, s.batch * part / number_of_parts,
                            s.batch * (part + 1) / number_of_parts, sums);
    };
    each_sum(threads, number_of_pairs, number_of_parts, size, scratch, compute, finish);
}

int64_t DepthwiseGradient::scratch_bytes(int threads) const {
    const auto& s = shape_;
    const int64_t size = s.kernel[0] * s.kernel[1] * BLOCK;
    return floats_of(s.blocks, parts_of(s.blocks, s.batch, threads), size, threads) * int64_t(sizeof(float));
}

std::vector<Access> DepthwiseGradient::accesses() const {
    const auto& s = shape_;
    return {access("image", x_, DType::f32, {s.batch, s.blocks, s.height, s.width, BLOCK}),
            access("result's gradient", y_, DType::f32, {s.batch, s.blocks, s.out_height, s.out_width, BLOCK}),
            access("weight's gradient", weight_, DType::f32, {s.blocks, BLOCK, s.kernel[0], s.kernel[1]})};
}

void DepthwiseGradient::run(Context& context, State*) const {
    const auto& s = shape_;
    const int64_t positions = s.kernel[0] * s.kernel[1], size = positions * BLOCK;
    const int64_t parts = parts_of(s.blocks, s.batch, context.threads);
    const float* x = context.at<float>(x_);
    const float* y = context.at<float>(y_);
    float* weight = context.at<float>(weight_);
    auto compute = [&](int64_t block, int64_t part, float* sums) {
        std::memset(sums, 0, size * sizeof(float));
        depthwise_gradient_f32(s, block, x, y, s.batch * part / parts, s.batch * (part + 1) / parts, sums);
    };
    auto finish = [&](int64_t block, const float* sums) {
        for (int64_t c = 0; c < BLOCK; ++c)
            for (int64_t p = 0; p < positions; ++p) weight[(block * BLOCK + c) * positions + p] = sums[p * BLOCK + c];
    };
    each_sum(context.threads, s.blocks, parts, size, reinterpret_cast<float*>(context.scratch), compute, finish);
}

}  // namespace pellucid
