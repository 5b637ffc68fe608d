#include "rectified.hpp"

#include <algorithm>
#include <cmath>

namespace pellucid {
namespace {

struct Both : State {
    Both(std::unique_ptr<State> quick, std::unique_ptr<State> unrectified) : quick(std::move(quick)), unrectified(std::move(unrectified)) {}

    std::unique_ptr<State> quick, unrectified;
};

}  // namespace

std::unique_ptr<State> Rectified::make_state() const {
    return std::make_unique<Both>(quick_->make_state(), unrectified_->make_state());
}

std::vector<Access> Rectified::accesses() const {
    auto found = quick_->accesses();
    for (const Access& access : unrectified_->accesses()) found.push_back(access);
    return found;
}

void Rectified::run(Context& context, State* state) const {
    const auto& both = *static_cast<Both*>(state);
    const Threads within(threads_);
    if (!context.keeps_nan) return quick_->run(context, both.quick.get());
    unrectified_->run(context, both.unrectified.get());
    rectify(context);
}

void Rectified::rectify(Context& context) const {
    constexpr int64_t TILE = 1024;
    const auto& k = kernels();
    const bool narrow = output_.type == DType::bf16;
    float wide[TILE];
    for (int64_t first = 0; first < output_.size; first += TILE) {
        const int64_t count = std::min(TILE, output_.size - first);
        char* at = context.at<char>(output_.place) + first * size_of(output_.type);
        float* to = narrow ? wide : reinterpret_cast<float*>(at);
        k.apply(Operation::relu, to, {at, narrow ? Value::Form::half : Value::Form::each}, {}, {}, count);
        if (std::isfinite(ceiling_)) k.apply(Operation::minimum, to, {to}, {&ceiling_, Value::Form::one}, {}, count);
        if (narrow) k.narrow(reinterpret_cast<uint16_t*>(at), wide, count);
    }
}

}  // namespace pellucid
