#include "crops.hpp"

#include <algorithm>
#include <vector>

namespace pellucid {

namespace {

// Where the centers of `count` pixels lie among those from `first` to before `end`: the two nearest, and the second's share.
struct Between {
    int64_t low, high;
    float share;
};

void between(int64_t first, int64_t end, int64_t count, std::vector<Between>& found) {
    found.resize(count);
    const double step = double(end - first) / double(count), last = double(end - first - 1);
    for (int64_t k = 0; k < count; ++k) {
        const double place = std::clamp((double(k) + 0.5) * step - 0.5, 0.0, last);
        const int64_t low = int64_t(place);
        found[k] = {first + low, std::min(first + low + 1, end - 1), float(place - double(low))};
    }
}

}  // namespace

void cut_squares(const Squares& squares, const uint8_t* picture, const int64_t* crops, const float* affine, float* out) {
    const int64_t side = squares.side, plane = side * side;
    std::vector<Between> down, across;
    std::fill(out, out + squares.regions * 3 * plane, 0.0f);
    for (int64_t region = 0; region < squares.regions; ++region) {
        const int64_t *crop = crops + region * 8, top = crop[0], bottom = crop[1], left = crop[2], right = crop[3];
        const int64_t y = crop[4], x = crop[5], rows = crop[6], columns = crop[7];
        if (std::min({bottom - top, right - left, rows, columns}) < 1) continue;
        between(top, bottom, rows, down);
        between(left, right, columns, across);
        for (int64_t color = 0; color < 3; ++color) {
            const uint8_t* from = picture + color * squares.height * squares.width;
            const float scale = affine[color], shift = affine[3 + color];
            for (int64_t row = 0; row < rows; ++row) {
                const Between& here = down[row];
                const uint8_t *above = from + here.low * squares.width, *below = from + here.high * squares.width;
                float* to = out + (region * 3 + color) * plane + (y + row) * side + x;
                const float second = here.share, first = 1.0f - second;
                for (int64_t column = 0; column < columns; ++column) {
                    const Between& there = across[column];
                    const float near = float(above[there.low]) * first + float(below[there.low]) * second;
                    const float far = float(above[there.high]) * first + float(below[there.high]) * second;
                    to[column] = (near * (1.0f - there.share) + far * there.share) * scale + shift;
                }
            }
        }
    }
}

}  // namespace pellucid
