#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#ifndef KERNEL_ISA
#error "KERNEL_ISA names the instruction set this file is compiled for"
#endif
// Loops vectorize only where all they call is part of them.
#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

namespace pellucid {
namespace {

INLINE float bits_to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

INLINE uint32_t float_to_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

INLINE float widen_one(uint16_t value) { return bits_to_float(uint32_t(value) << 16); }

// Round to nearest even; a NaN stays one.
INLINE uint16_t narrow_one(float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

// exp as 2^n * e^r with |r| <= log(2)/2 and a polynomial for e^r; relative error below 2e-7.
INLINE float exp_one(float x) {
    const float clamped = x < -104.0f ? -104.0f : (x > 89.0f ? 89.0f : x);
    const float n = std::nearbyint(clamped * 1.44269504f);
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int whole = int(n), half = whole / 2;  // in two factors, so that neither leaves the range of exponents
    const float y = p * bits_to_float(uint32_t(half + 127) << 23) * bits_to_float(uint32_t(whole - half + 127) << 23);
    return x != x ? x : y;
}

INLINE float max_one(float a, float b) { return a > b || a != a ? a : b; }
INLINE float min_one(float a, float b) { return a < b || a != a ? a : b; }

// log(1 + m) for 1 + m in [sqrt(1/2), sqrt(2)) by a polynomial, plus the exponent e times log 2.
INLINE float log_of(float m, float e) {
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    const float y = m * z * p - e * 2.12194440e-4f - 0.5f * z;
    return m + y + e * 0.693359375f;
}

INLINE float log_one(float x) {
    const bool tiny = x < 1.17549435e-38f;
    const float scaled = tiny ? x * 8388608.0f : x;
    const uint32_t bits = float_to_bits(scaled);
    float e = float(int(bits >> 23) - 126) - (tiny ? 23.0f : 0.0f);
    float m = bits_to_float((bits & 0x007fffffu) | 0x3f000000u);
    const bool small = m < 0.707106781f;
    e -= small ? 1.0f : 0.0f;
    float y = log_of((small ? m + m : m) - 1.0f, e);
    const float infinity = std::numeric_limits<float>::infinity();
    y = x == infinity ? infinity : y;
    y = x == 0.0f ? -infinity : y;
    return x < 0.0f || x != x ? std::numeric_limits<float>::quiet_NaN() : y;
}

// Near 0 x itself is the mantissa, without the digits that 1 + x loses.
INLINE float log1p_one(float x) {
    const float near_zero = log_of(x, 0.0f);
    return x > -0.292f && x < 0.414f ? near_zero : log_one(1.0f + x);
}

// log(1 + e^x): the exponential is at most 1, and half of 1 + e^(-|x|), less 1, is exact.
INLINE float softplus_one(float x) {
    const float small = exp_one(-std::fabs(x));
    const bool half = small > 0.414f;
    return max_one(x, 0) + log_of(half ? 0.5f * small - 0.5f : small, half ? 1.0f : 0.0f);
}

INLINE float sigmoid_one(float x) {
    const float small = exp_one(-std::fabs(x));
    return (x >= 0.0f ? 1.0f : small) / (1.0f + small) + (x != x ? x : 0.0f);
}

INLINE float tanh_one(float x) {
    const float magnitude = std::fabs(x);
    const float small = exp_one(-2.0f * magnitude);
    const float z = x * x;
    const float near_zero = x * (1.0f + z * (-0.333333333f + z * (0.133333333f + z * (-0.0539682540f + z * 0.0218694885f))));
    const float far = std::copysign((1.0f - small) / (1.0f + small), x);
    return magnitude < 0.25f ? near_zero : far;
}

// Polynomials of least error (Chebyshev): erf(x)/x in x^2 for |x| <= 1, and -log(1 - erf(x)) for 1 < x <= 4.
INLINE float erf_one(float x) {
    const float z = x * x;
    float p = 7.882497111e-05f;
    p = p * z - 8.018854993e-04f;
    p = p * z + 5.189311943e-03f;
    p = p * z - 2.685432880e-02f;
    p = p * z + 1.128359746e-01f;
    p = p * z - 3.761262690e-01f;
    p = p * z + 1.128379166e+00f;
    const float magnitude = std::fabs(x);
    const float t = magnitude > 4.0f ? 4.0f : magnitude;
    float q = -1.614061601e-06f;
    q = q * t + 4.559062240e-05f;
    q = q * t - 5.927695375e-04f;
    q = q * t + 4.740222340e-03f;
    q = q * t - 2.636471736e-02f;
    q = q * t + 1.099782451e-01f;
    q = q * t + 6.319370937e-01f;
    q = q * t + 1.130166676e+00f;
    q = q * t - 3.032129692e-04f;
    const float far = std::copysign(1.0f - exp_one(-q), x);
    const float y = magnitude <= 1.0f ? p * x : far;
    return x != x ? x : y;
}

// The series of e^x - 1 near 0, where subtracting 1 would lose digits.
INLINE float expm1_one(float x) {
    float p = 1.0f / 40320.0f;
    p = p * x + 1.0f / 5040.0f;
    p = p * x + 1.0f / 720.0f;
    p = p * x + 1.0f / 120.0f;
    p = p * x + 1.0f / 24.0f;
    p = p * x + 1.0f / 6.0f;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    return std::fabs(x) < 0.5f ? p * x : exp_one(x) - 1.0f;
}

// How element i of a tile is read from a value of each kind.
template <class T>
struct Each {
    const T* data;
    T operator()(int64_t i) const { return data[i]; }
};
struct Half {
    const uint16_t* data;
    float operator()(int64_t i) const { return widen_one(data[i]); }
};
template <class T>
struct Same {
    T value;
    T operator()(int64_t) const { return value; }
};

template <class T, class F>
inline void visit(Value value, F f) {
    const T* data = static_cast<const T*>(value.data);
    if (value.form == Value::Form::one) return f(Same<T>{*data});
    if constexpr (std::is_same_v<T, float>)
        if (value.form == Value::Form::half) return f(Half{static_cast<const uint16_t*>(value.data)});
    f(Each<T>{data});
}

// Results may overwrite an operand, element by element, so no iteration depends on another.
template <class To, class From, class F>
void unary(void* to_, Value a, int64_t count, F f) {
    To* to = static_cast<To*>(to_);
    visit<From>(a, [=](auto x) {
#pragma GCC ivdep
        for (int64_t i = 0; i < count; ++i) to[i] = f(x(i));
    });
}

template <class To, class From, class F>
void binary(void* to_, Value a, Value b, int64_t count, F f) {
    To* to = static_cast<To*>(to_);
    visit<From>(a, [=](auto x) {
        visit<From>(b, [=](auto y) {
#pragma GCC ivdep
            for (int64_t i = 0; i < count; ++i) to[i] = f(x(i), y(i));
        });
    });
}

template <class F>
void ternary(void* to_, Value a, Value b, Value c, int64_t count, F f) {
    float* to = static_cast<float*>(to_);
    visit<float>(a, [=](auto x) {
        visit<float>(b, [=](auto y) {
            visit<float>(c, [=](auto z) {
#pragma GCC ivdep
                for (int64_t i = 0; i < count; ++i) to[i] = f(x(i), y(i), z(i));
            });
        });
    });
}

void raise(void* to, Value a, Value b, int64_t count) {
    const float exponent = b.form == Value::Form::one ? *static_cast<const float*>(b.data) : 0.0f;
    if (exponent == 2.0f) {
        unary<float, float>(to, a, count, [](float x) { return x * x; });
    } else if (exponent == 0.5f) {
        unary<float, float>(to, a, count, [](float x) { return std::sqrt(x); });
    } else {
        binary<float, float>(to, a, b, count, [](float x, float y) { return std::pow(x, y); });
    }
}

void apply(Operation operation, void* to, Value a, Value b, Value c, int64_t n) {
    using F = float;
    using I = int64_t;
    switch (operation) {
        case Operation::copy: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return x; });
        case Operation::add: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x + y; });
        case Operation::subtract: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x - y; });
        case Operation::multiply: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x * y; });
        case Operation::divide: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x / y; });
        case Operation::power: return raise(to, a, b, n);
        case Operation::maximum: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return max_one(x, y); });
        case Operation::minimum: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return min_one(x, y); });
        case Operation::negative: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return -x; });
        case Operation::absolute: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return std::fabs(x); });
        case Operation::sign: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return x > 0 ? 1.0f : (x < 0 ? -1.0f : x); });
        case Operation::exp: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return exp_one(x); });
        case Operation::expm1: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return expm1_one(x); });
        case Operation::log: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return log_one(x); });
        case Operation::log1p: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return log1p_one(x); });
        case Operation::sqrt: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return std::sqrt(x); });
        case Operation::erf: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return erf_one(x); });
        case Operation::sigmoid: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return sigmoid_one(x); });
        case Operation::tanh: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return tanh_one(x); });
        case Operation::relu: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return x < 0 ? 0.0f : x; });
        case Operation::softplus: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return softplus_one(x); });
        case Operation::less: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x < y ? 1.0f : 0.0f; });
        case Operation::less_equal: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x <= y ? 1.0f : 0.0f; });
        case Operation::equal: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x == y ? 1.0f : 0.0f; });
        case Operation::not_equal: return binary<F, F>(to, a, b, n, [](F x, F y) INLINE_LAMBDA { return x != y ? 1.0f : 0.0f; });
        case Operation::where: return ternary(to, a, b, c, n, [](F x, F y, F z) INLINE_LAMBDA { return x != 0.0f ? y : z; });
        case Operation::multiply_add: return ternary(to, a, b, c, n, [](F x, F y, F z) INLINE_LAMBDA { return x * y + z; });
        case Operation::multiply_add_relu: return ternary(to, a, b, c, n, [](F x, F y, F z) INLINE_LAMBDA { return max_one(x * y + z, 0.0f); });
        case Operation::relu_mask: return binary<F, F>(to, a, b, n, [](F g, F y) INLINE_LAMBDA { return y > 0 ? g : 0.0f * g; });
        case Operation::copy_i64: return unary<I, I>(to, a, n, [](I x) INLINE_LAMBDA { return x; });
        case Operation::add_i64: return binary<I, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return I(uint64_t(x) + uint64_t(y)); });
        case Operation::subtract_i64: return binary<I, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return I(uint64_t(x) - uint64_t(y)); });
        case Operation::multiply_i64: return binary<I, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return I(uint64_t(x) * uint64_t(y)); });
        case Operation::less_i64: return binary<F, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return x < y ? 1.0f : 0.0f; });
        case Operation::less_equal_i64: return binary<F, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return x <= y ? 1.0f : 0.0f; });
        case Operation::equal_i64: return binary<F, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return x == y ? 1.0f : 0.0f; });
        case Operation::maximum_i64: return binary<I, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return x < y ? y : x; });
        case Operation::minimum_i64: return binary<I, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return y < x ? y : x; });
        case Operation::not_equal_i64: return binary<F, I>(to, a, b, n, [](I x, I y) INLINE_LAMBDA { return x != y ? 1.0f : 0.0f; });
        case Operation::to_float: return unary<F, I>(to, a, n, [](I x) INLINE_LAMBDA { return F(x); });
        case Operation::to_bool: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return x != 0 ? 1.0f : 0.0f; });
        case Operation::to_int: return unary<I, F>(to, a, n, [](F x) INLINE_LAMBDA { return std::fabs(x) < 9.2e18f ? I(x) : std::numeric_limits<I>::min(); });
        case Operation::round: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return std::nearbyint(x); });
        case Operation::floor: return unary<F, F>(to, a, n, [](F x) INLINE_LAMBDA { return std::floor(x); });
    }
}

void widen(float* to, const uint16_t* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = widen_one(from[i]);
}

void narrow(uint16_t* to, const float* from, int64_t count) {
    int64_t i = 0;
#ifdef __AVX512BF16__
    for (; i + 16 <= count; i += 16) {
        const __m256bh half = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + i));
        std::memcpy(to + i, &half, sizeof half);
    }
#endif
    for (; i < count; ++i) to[i] = narrow_one(from[i]);
}

void from_bool(float* to, const uint8_t* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] ? 1.0f : 0.0f;
}

void to_bool(uint8_t* to, const float* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] != 0.0f;
}

constexpr int LANES = 64;  // independent partial results, so that the loop vectorizes without reordering a sum

template <class F>
float reduce(const float* from, int64_t count, float start, F f) {
    float lanes[LANES];
    for (float& lane : lanes) lane = start;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; ++k) lanes[k] = f(lanes[k], from[i + k]);
    for (int64_t k = 0; i < count; ++i, ++k) lanes[k] = f(lanes[k], from[i]);
    for (int width = LANES / 2; width; width /= 2)
        for (int k = 0; k < width; ++k) lanes[k] = f(lanes[k], lanes[k + width]);
    return lanes[0];
}

float sum(const float* from, int64_t count) {
    return reduce(from, count, 0.0f, [](float a, float b) { return a + b; });
}

float max(const float* from, int64_t count) {
    return reduce(from, count, -std::numeric_limits<float>::infinity(), max_one);
}

template <class F>
void combine_rows(float* __restrict to, const float* __restrict from, int64_t rows, int64_t columns, float start, F f) {
    if (columns == 16) {  // a block of channels: in registers, four rows at a time so that none waits for the last
        float lanes[4][16];
        int64_t i = 0;
        for (int k = 0; k < 4; ++k)
            for (int j = 0; j < 16; ++j) lanes[k][j] = start;
        for (; i + 4 <= rows; i += 4)
            for (int k = 0; k < 4; ++k)
                for (int j = 0; j < 16; ++j) lanes[k][j] = f(lanes[k][j], from[(i + k) * 16 + j]);
        for (; i < rows; ++i)
            for (int j = 0; j < 16; ++j) lanes[0][j] = f(lanes[0][j], from[i * 16 + j]);
        for (int j = 0; j < 16; ++j) to[j] = f(to[j], f(f(lanes[0][j], lanes[1][j]), f(lanes[2][j], lanes[3][j])));
        return;
    }
    if (rows == 1) {
        for (int64_t j = 0; j < columns; ++j) to[j] = f(to[j], from[j]);
        return;
    }
    for (int64_t first = 0; first < columns; first += LANES) {  // the rows by themselves: shorter sums are rounded less
        const int width = int(std::min<int64_t>(LANES, columns - first));
        float lanes[LANES];
        for (int j = 0; j < width; ++j) lanes[j] = start;
        for (int64_t i = 0; i < rows; ++i)
            for (int j = 0; j < width; ++j) lanes[j] = f(lanes[j], from[i * columns + first + j]);
        for (int j = 0; j < width; ++j) to[first + j] = f(to[first + j], lanes[j]);
    }
}

void accumulate(float* to, const float* from, int64_t rows, int64_t columns) {
    combine_rows(to, from, rows, columns, 0.0f, [](float a, float b) { return a + b; });
}

void accumulate_max(float* to, const float* from, int64_t rows, int64_t columns) {
    combine_rows(to, from, rows, columns, -std::numeric_limits<float>::infinity(), max_one);
}

// ROWS rows of the weight side by side, so that memory has several streams to fetch ahead.
template <int ROWS>
void dot_rows(float* y, const float* weight, const float* x, int64_t inputs) {
    constexpr int WIDTH = 32;
    float lanes[ROWS][WIDTH] = {};
    int64_t i = 0;
    for (; i + WIDTH <= inputs; i += WIDTH)
        for (int r = 0; r < ROWS; ++r)
            for (int k = 0; k < WIDTH; ++k) lanes[r][k] += weight[r * inputs + i + k] * x[i + k];
    for (int r = 0; r < ROWS; ++r) {
        for (int64_t k = 0; i + k < inputs; ++k) lanes[r][k] += weight[r * inputs + i + k] * x[i + k];
        for (int width = WIDTH / 2; width; width /= 2)
            for (int k = 0; k < width; ++k) lanes[r][k] += lanes[r][k + width];
        y[r] = lanes[r][0];
    }
}

void times_vector(float* y, const float* weight, const float* x, const float* bias, bool relu, int64_t inputs, int64_t first, int64_t last) {
    int64_t o = first;
    for (; o + 4 <= last; o += 4) dot_rows<4>(y + o, weight + o * inputs, x, inputs);
    for (; o < last; ++o) dot_rows<1>(y + o, weight + o * inputs, x, inputs);
    for (o = first; o < last; ++o) {
        if (bias) y[o] += bias[o];
        if (relu && y[o] < 0) y[o] = 0.0f;
    }
}

#include "pooling.inc"

}  // namespace

extern const Kernels JOIN(kernels_, KERNEL_ISA);
const Kernels JOIN(kernels_, KERNEL_ISA){
    TEXT(KERNEL_ISA), apply,    widen,      narrow,       from_bool,    to_bool,       sum, max, accumulate,
    accumulate_max,   times_vector, max_pool, max_unpool, average_pool, average_unpool};

}  // namespace pellucid
