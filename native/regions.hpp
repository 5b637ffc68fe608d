// Regions of a picture: pixels joined along edges, and regions merged pair by pair into one.
#pragma once

#include <cstdint>

namespace pellucid {

// Edges (one, other, weight) sorted by weight. Two parts are joined where no part is more even within itself: the weight is at
// most what each part allows, its largest weight so far + scale / its pixels. Then parts of fewer than `least` pixels are
// joined with a neighbour. Writes a label for every pixel, counted in the order of the pixels; returns how many there are.
// (Felzenszwalb and Huttenlocher, 2004, section 3)
int64_t join_pixels(int64_t pixels, int64_t edges, const int32_t* one, const int32_t* other, const float* weight, float scale, int64_t least,
                    int32_t* labels);

// What of a pair of regions counts for how alike they are.
struct Likeness {
    bool color, texture, size, fill;
};

// Regions 0 to count - 1 with their histograms (`colors` numbers of color, `textures` of texture, each adding up to 1), sizes
// and boxes (x1, y1, x2, y2), and `pairs` of neighbors. Merges the most alike pair until one is left, of equal ones that with
// the smaller numbers; merge k makes region count + k, whose rows are written behind the others'. A likeness is a multiple
// of 2^-32, so that the order in which it is summed does not matter. Returns the number of merges: fewer than count - 1 where
// regions have no neighbors. (Uijlings et al., 2013, section 3)
struct Regions {
    int64_t count, colors, textures, pixels;
    double* histograms;
    int64_t* sizes;
    int64_t* boxes;
};
int64_t merge_regions(const Regions& regions, int64_t pairs, const int32_t* pair, Likeness likeness, int32_t* merges, int64_t* likenesses);

}  // namespace pellucid
