// A weight times one vector against the definition.
#include "../vector_product.hpp"

#include <algorithm>

#include "check.hpp"

namespace pellucid::test {
namespace {

TEST(vector_product) {
    const int64_t sizes[][2] = {{1, 1}, {3, 31}, {4, 32}, {7, 33}, {10, 128}, {129, 640}};
    for (const auto& [outputs, inputs] : sizes)
        for (const bool relu : {false, true})
            for (const bool with_bias : {false, true})
                for (const int threads : {1, 2, 3}) {
                    Floats weight = whole_numbers(outputs * inputs, 1), x = whole_numbers(inputs, 2), bias = whole_numbers(outputs, 3);
                    Floats y(outputs, 99.0f), expected(outputs);
                    for (int64_t o = 0; o < outputs; ++o) {
                        for (int64_t i = 0; i < inputs; ++i) expected[o] += weight[o * inputs + i] * x[i];
                        if (with_bias) expected[o] += bias[o];
                        if (relu) expected[o] = std::max(expected[o], 0.0f);
                    }
                    run(std::make_unique<VectorProduct>("product", outputs, inputs, Place{1, 0}, Place{2, 0}, Place{3, 0}, Place{4, 0}, with_bias, relu),
                        threads, weight, x, y, bias);
                    check_near("product " + std::to_string(outputs) + " x " + std::to_string(inputs), y, expected, 0, 0);
                }
}

}  // namespace
}  // namespace pellucid::test
