// A convolution or product that ends in ReLU. oneDNN's ReLU makes 0 of a NaN, though not without a note (see notes.hpp):
// where NaNs are to be kept, the primitive without ReLU is run, and ReLU done on its result.
#pragma once

#include "primitives.hpp"

namespace pellucid {

class Rectified : public Step {
public:
    struct Output {
        Place place;
        DType type;
        int64_t size;
    };

    // `threads` is how many the primitives were made for.
    Rectified(std::unique_ptr<Primitive> quick, std::unique_ptr<Primitive> unrectified, Output output, float ceiling, int threads)
        : Step(quick->name), quick_(std::move(quick)), unrectified_(std::move(unrectified)), output_(output), ceiling_(ceiling),
          threads_(threads) {}

    std::unique_ptr<State> make_state() const override;
    std::vector<Access> accesses() const override;
    bool notes_nan() const override { return true; }
    void run(Context&, State*) const override;

private:
    void rectify(Context&) const;

    std::unique_ptr<Primitive> quick_, unrectified_;
    Output output_;
    float ceiling_;
    int threads_;
};

}  // namespace pellucid
