// A weight (outputs, inputs) times one vector: what a linear layer does for a single picture. It takes the time of reading
// the weight once, whereas oneDNN first copies the weight into an order of its own.
#pragma once

#include "program.hpp"

namespace pellucid {

class VectorProduct : public Step {
public:
    VectorProduct(std::string name, int64_t outputs, int64_t inputs, Place weight, Place x, Place y, Place bias, bool with_bias, bool relu)
        : Step(std::move(name)), outputs_(outputs), inputs_(inputs), weight_(weight), x_(x), y_(y), bias_(bias), with_bias_(with_bias), relu_(relu) {}

    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    int64_t outputs_, inputs_;
    Place weight_, x_, y_, bias_;
    bool with_bias_, relu_;
};

}  // namespace pellucid
