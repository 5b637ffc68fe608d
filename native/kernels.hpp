// The inner loops, compiled once per instruction set: arithmetic on tiles, reductions of tiles, windows of pooling.
#pragma once

#include <cstdint>

namespace pellucid {

constexpr int64_t BLOCK = 16;  // channels that lie side by side in a blocked image

// Element types of memory. Inside of a tile a bool is a float 0 or 1, and bfloat16 is widened to float.
enum class DType : int { f32, bf16, i64, u8 };

inline int64_t size_of(DType type) {
    switch (type) {
        case DType::f32: return 4;
        case DType::bf16: return 2;
        case DType::i64: return 8;
        case DType::u8: return 1;
    }
    return 0;
}

// One name per arithmetic operation; Python finds an operation by this name.
#define PELLUCID_OPERATIONS(X) \
    X(copy) X(add) X(subtract) X(multiply) X(divide) X(power) X(maximum) X(minimum) X(negative) X(absolute) X(sign) \
    X(exp) X(expm1) X(log) X(log1p) X(sqrt) X(erf) X(sigmoid) X(tanh) X(relu) X(softplus) X(less) X(less_equal) X(equal) \
    X(not_equal) X(where) X(multiply_add) X(multiply_add_relu) X(relu_mask) X(copy_i64) X(add_i64) X(subtract_i64) X(multiply_i64) X(less_i64) \
    X(less_equal_i64) X(equal_i64) X(not_equal_i64) X(to_float) X(to_bool) X(to_int) \
    X(round) X(floor) X(maximum_i64) X(minimum_i64)

enum class Operation : int {
#define X(name) name,
    PELLUCID_OPERATIONS(X)
#undef X
};

// A value of a tile: its elements, the same as bfloat16, or one element that stands for all.
struct Value {
    enum class Form { each, half, one };
    const void* data = nullptr;
    Form form = Form::each;
};

// Pooling over (outer, height, width, inner); channels that lie side by side are `inner`.
struct PoolShape {
    static constexpr int64_t MOST_POSITIONS = 255;  // of a window: the winner's number is a byte

    int64_t outer, height, width, inner, out_height, out_width;
    int64_t kernel[2], stride[2], padding[2];
    bool count_padding;
};

struct Kernels {
    const char* isa;
    void (*apply)(Operation, void* to, Value a, Value b, Value c, int64_t count);
    void (*widen)(float* to, const uint16_t* from, int64_t count);
    void (*narrow)(uint16_t* to, const float* from, int64_t count);
    void (*from_bool)(float* to, const uint8_t* from, int64_t count);
    void (*to_bool)(uint8_t* to, const float* from, int64_t count);
    float (*sum)(const float* from, int64_t count);
    float (*max)(const float* from, int64_t count);
    void (*accumulate)(float* to, const float* from, int64_t rows, int64_t columns);
    void (*accumulate_max)(float* to, const float* from, int64_t rows, int64_t columns);
    // y[o] = sum of weight[o][i] * x[i] (+ bias[o]) for o from `first` to `last`; no bias is null.
    void (*times_vector)(float* y, const float* weight, const float* x, const float* bias, bool relu, int64_t inputs, int64_t first, int64_t last);
    // `first`..`last` count the outer index. Winners are numbers of kernel positions; null where nobody needs them.
    void (*max_pool)(const PoolShape&, DType, const void* x, void* y, uint8_t* winners, int64_t first, int64_t last);
    void (*max_unpool)(const PoolShape&, DType, const void* g, const uint8_t* winners, void* dx, int64_t first, int64_t last);
    void (*average_pool)(const PoolShape&, DType, const void* x, void* y, int64_t first, int64_t last);
    void (*average_unpool)(const PoolShape&, DType, const void* g, void* dx, int64_t first, int64_t last);
};

// The fastest kernels this processor can run.
const Kernels& kernels();

}  // namespace pellucid
