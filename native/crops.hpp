// Regions of a picture warped to squares: what R-CNN's network looks at.
#pragma once

#include <cstdint>

namespace pellucid {

// Of a picture uint8 (3, height, width) `regions` squares float32 (3, side, side), scaled and shifted color by color (`affine`: three scales,
// three shifts). A crop is eight numbers: rows top to before bottom and columns left to before right become height x width pixels at
// (y, x) of the square, bilinear between the centers of pixels; all else is 0, as is a square whose crop has no extent.
// (Girshick, Donahue, Darrell and Malik, 2014, appendix A)
struct Squares {
    int64_t regions, height, width, side;
};
void cut_squares(const Squares& squares, const uint8_t* picture, const int64_t* crops, const float* affine, float* out);

}  // namespace pellucid
