// Steps that pick elements: weighted sums at given places, regions of interest, ranks, and boxes that do not overlap.
#pragma once

#include "program.hpp"

namespace pellucid {

enum class Picking : int { blend, spread, likeness, region_average, region_spread, region_winners, taken, given, ranks, suppression };

// Sizes and numbers by kind; `a`, `b` and `c` are the operands in the order of the op's inputs.
//
// blend, spread, likeness: pictures, channels, elements of a picture, places, elements picked at each; (images, weights or
// gradients, places as int64).
// region_average, region_spread: boxes, pictures, channels, height, width, bins down, bins across, samples (0: as needed),
// aligned; scale; (images or gradients, boxes, pictures as int64).
// region_winners: boxes, pictures, channels, height, width, bins down, bins across; scale; (images, boxes, pictures as int64).
// taken, given: lines before, length, lines behind, picks; (values or gradients, places as int64).
// ranks: lines before, length, lines behind, how many, largest; (values).
// suppression: pictures, boxes, classes, most of a class, center, whether scores have a least; overlap, least; (boxes, scores).
class Pick : public Step {
public:
    Pick(std::string name, Picking kind, std::vector<int64_t> sizes, std::vector<double> numbers, Place a, Place b, Place c, Place to);

    std::vector<Access> accesses() const override;
    int64_t scratch_bytes(int threads) const override;
    void run(Context&, State*) const override;

private:
    int workers(int threads) const;
    int64_t winners_bytes() const;
    void blend(Context&) const;
    void spread(Context&) const;
    void likeness(Context&) const;
    void regions(Context&) const;
    void winners(Context&) const;
    void taken(Context&) const;
    void given(Context&) const;
    void ranks(Context&) const;
    void suppression(Context&) const;

    Picking kind_;
    std::vector<int64_t> sizes_;
    std::vector<double> numbers_;
    Place a_, b_, c_, to_;
};

}  // namespace pellucid
