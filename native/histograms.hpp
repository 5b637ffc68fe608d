// Histograms of a picture's gradients, and where parts of an object go: what deformable part models look at.
#pragma once

#include <cstdint>

namespace pellucid {

// A picture (3, height, width) as rows - 2 by columns - 2 cells of 32 numbers; `rows` and `columns` of `cell` pixels are 3 or more, as
// are height and width. The cells at the edges are used by the others but not written.
// (Felzenszwalb, Girshick, McAllester and Ramanan, 2010, section 6, with the constants of the authors' code)
struct Cells {
    int64_t height, width, rows, columns, cell;
};
void gradient_histograms(const Cells& cells, const double* pixels, float* out);

// For each of `count` maps and each place of it the largest value at place - (dx, dy) less what the displacement costs,
// p0 dx^2 + p1 dx + p2 dy^2 + p3 dy, of those within `reach` and the map. `prices` (count, 4).
struct Responses {
    int64_t count, rows, columns, reach;
};
void bounded_transform(const Responses& maps, const float* values, const float* prices, float* out);

}  // namespace pellucid
