// Pooling steps: each thread takes a share of the images (or of their blocks of channels).
#pragma once

#include "program.hpp"

namespace pellucid {

enum class Pooling : int { max, max_gradient, average, average_gradient };

// `from` is x, or the gradient of y; `to` is y, or the gradient of x; `winners` the kernel position of each maximum.
class Pool : public Step {
public:
    Pool(std::string name, Pooling kind, const PoolShape& shape, DType type, Place from, Place to, Place winners, bool with_winners)
        : Step(std::move(name)), kind_(kind), shape_(shape), type_(type), from_(from), to_(to), winners_(winners), with_winners_(with_winners) {
        if (shape.kernel[0] * shape.kernel[1] > PoolShape::MOST_POSITIONS) throw std::invalid_argument("its window is too large for a winner's number");
        if (kind == Pooling::max_gradient && !with_winners) throw std::invalid_argument("a gradient of maxima needs to know where they were");
    }

    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    Pooling kind_;
    PoolShape shape_;
    DType type_;
    Place from_, to_, winners_;
    bool with_winners_;
};

}  // namespace pellucid
