// The engine's own kernel for the gradient of a weight against the definition.
#include "convolution.hpp"

#include "../weight_gradient.hpp"

namespace pellucid::test {
namespace {

const Sizes GRADIENTS[] = {
    {1, 1, 1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {2, 1, 1, 2, 5, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 1, 2, 1, 8, 9, {3, 2}, {2, 1}, {1, 0}, {1, 1}},
    {2, 3, 1, 1, 6, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   // groups
    {1, 1, 1, 1, 11, 13, {3, 3}, {2, 3}, {2, 3}, {2, 2}},  // dilation
    {1, 1, 1, 1, 2, 3, {3, 3}, {1, 1}, {3, 3}, {1, 1}},   // windows that lie in the padding alone
    {2, 1, 1, 1, 4, 4, {5, 5}, {1, 1}, {2, 2}, {1, 1}},   // a kernel larger than the image
    {1, 1, 1, 1, 3, 40, {1, 7}, {1, 2}, {0, 3}, {1, 1}},
    {1, 1, 1, 1, 70, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // more rows than the cache takes
    {9, 1, 1, 1, 4, 4, {2, 2}, {2, 2}, {0, 0}, {1, 1}},   // several images at once
};

TEST(weight_gradient) {
    if (!WeightGradient::available()) return;
    for (const auto& s : GRADIENTS) {
        Floats x = whole_numbers(s.x_size(), 1), g = whole_numbers(s.y_size(), 2);
        const Floats expected = expected_weight_gradient(s, x, g);
        const WeightGradientShape shape{s.batch,
                                        s.groups,
                                        s.in_blocks,
                                        s.out_blocks,
                                        s.height,
                                        s.width,
                                        s.outputs(0),
                                        s.outputs(1),
                                        {s.kernel[0], s.kernel[1]},
                                        {s.stride[0], s.stride[1]},
                                        {s.padding[0], s.padding[1]},
                                        {s.dilation[0], s.dilation[1]}};
        for (const int threads : {1, 2, 3, 5}) {
            Floats weight(s.weight_size(), 99.0f);
            run(std::make_unique<WeightGradient>("gradient", shape, Place{1, 0}, Place{2, 0}, Place{3, 0}), threads, x, g, weight);
            check_near("weight gradient " + std::to_string(&s - GRADIENTS) + " on " + std::to_string(threads) + " threads", weight, expected, 0, 0);
        }
    }
}

}  // namespace
}  // namespace pellucid::test
