#include "vector_product.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace pellucid {

constexpr int64_t WORTH_A_THREAD = 16384;  // elements of the weight below which another thread costs more than it saves

std::vector<Access> VectorProduct::accesses() const {
    std::vector<Access> found{access("weight", weight_, DType::f32, {outputs_, inputs_}), access("row", x_, DType::f32, {inputs_}),
                              access("result", y_, DType::f32, {outputs_})};
    if (with_bias_) found.push_back(access("bias", bias_, DType::f32, {outputs_}));
    return found;
}

void VectorProduct::run(Context& context, State*) const {
    const float* weight = context.at<const float>(weight_);
    const float* x = context.at<const float>(x_);
    const float* bias = with_bias_ ? context.at<const float>(bias_) : nullptr;
    float* y = context.at<float>(y_);
    const int workers = int(std::clamp<int64_t>(outputs_ * inputs_ / WORTH_A_THREAD, 1, std::min<int64_t>(context.threads, outputs_)));
    in_parallel(workers, [&](int64_t number) {
        kernels().times_vector(y, weight, x, bias, relu_, inputs_, outputs_ * number / workers, outputs_ * (number + 1) / workers);
    });
}

}  // namespace pellucid
