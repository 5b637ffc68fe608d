#include "histograms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pellucid {

namespace {

constexpr int SIGNED = 18, UNSIGNED = 9, FEATURES = 32;
constexpr double ACROSS[UNSIGNED] = {1.0, 0.9397, 0.7660, 0.5, 0.1736, -0.1736, -0.5, -0.7660, -0.9397};
constexpr double DOWN[UNSIGNED] = {0.0, 0.3420, 0.6428, 0.8660, 0.9848, 0.9848, 0.8660, 0.6428, 0.3420};

// The direction of a gradient, of equal ones the first.
int direction(double x, double y) {
    double best = 0.0;
    int found = 0;
    for (int k = 0; k < UNSIGNED; ++k) {
        const double along = ACROSS[k] * x + DOWN[k] * y;
        if (along > best) {
            best = along;
            found = k;
        } else if (-along > best) {
            best = -along;
            found = k + UNSIGNED;
        }
    }
    return found;
}

// Each pixel's gradient in the four cells nearest to it, by direction.
std::vector<double> votes(const Cells& cells, const double* pixels) {
    std::vector<double> found(cells.rows * cells.columns * SIGNED, 0.0);
    const double side = double(cells.cell);
    for (int64_t y = 1; y < cells.rows * cells.cell - 1; ++y) {
        const int64_t row = std::min(y, cells.height - 2);
        const double down = (double(y) + 0.5) / side - 0.5;
        const int64_t top = int64_t(std::floor(down));
        const double low = down - double(top);
        for (int64_t x = 1; x < cells.columns * cells.cell - 1; ++x) {
            const int64_t column = std::min(x, cells.width - 2);
            double slope_x = 0.0, slope_y = 0.0, most = -1.0;
            for (int c = 0; c < 3; ++c) {
                const double* at = pixels + (c * cells.height + row) * cells.width + column;
                const double dx = at[1] - at[-1], dy = at[cells.width] - at[-cells.width], size = dx * dx + dy * dy;
                if (size > most) {
                    most = size;
                    slope_x = dx;
                    slope_y = dy;
                }
            }
            if (most <= 0.0) continue;
            const double size = std::sqrt(most), across = (double(x) + 0.5) / side - 0.5;
            const int64_t left = int64_t(std::floor(across));
            const double right = across - double(left);
            const int bin = direction(slope_x, slope_y);
            for (int64_t i = 0; i < 2; ++i)
                for (int64_t j = 0; j < 2; ++j) {
                    const int64_t r = top + i, c = left + j;
                    if (r < 0 || c < 0 || r >= cells.rows || c >= cells.columns) continue;
                    found[(r * cells.columns + c) * SIGNED + bin] += size * (i ? low : 1.0 - low) * (j ? right : 1.0 - right);
                }
        }
    }
    return found;
}

}  // namespace

void gradient_histograms(const Cells& cells, const double* pixels, float* out) {
    const std::vector<double> histogram = votes(cells, pixels);
    std::vector<double> energy(cells.rows * cells.columns, 0.0);
    for (int64_t k = 0; k < int64_t(energy.size()); ++k)
        for (int o = 0; o < UNSIGNED; ++o) {
            const double both = histogram[k * SIGNED + o] + histogram[k * SIGNED + o + UNSIGNED];
            energy[k] += both * both;
        }
    for (int64_t y = 0; y + 2 < cells.rows; ++y)
        for (int64_t x = 0; x + 2 < cells.columns; ++x) {
            double scale[4];
            for (int k = 0; k < 4; ++k) {
                const double* block = energy.data() + (y + (k == 0 || k == 2)) * cells.columns + x + (k < 2);
                scale[k] = 1.0 / std::sqrt(block[0] + block[1] + block[cells.columns] + block[cells.columns + 1] + 0.0001);
            }
            const double* own = histogram.data() + ((y + 1) * cells.columns + x + 1) * SIGNED;
            float* to = out + (y * (cells.columns - 2) + x) * FEATURES;
            double texture[4] = {0.0, 0.0, 0.0, 0.0};
            for (int o = 0; o < SIGNED; ++o) {
                double sum = 0.0;
                for (int k = 0; k < 4; ++k) {
                    const double clipped = std::min(own[o] * scale[k], 0.2);
                    sum += clipped;
                    texture[k] += clipped;
                }
                to[o] = float(0.5 * sum);
            }
            for (int o = 0; o < UNSIGNED; ++o) {
                double sum = 0.0;
                for (int k = 0; k < 4; ++k) sum += std::min((own[o] + own[o + UNSIGNED]) * scale[k], 0.2);
                to[SIGNED + o] = float(0.5 * sum);
            }
            for (int k = 0; k < 4; ++k) to[SIGNED + UNSIGNED + k] = float(0.2357 * texture[k]);
            to[FEATURES - 1] = 0.0f;
        }
}

void bounded_transform(const Responses& maps, const float* values, const float* prices, float* out) {
    const int64_t rows = maps.rows, columns = maps.columns, reach = maps.reach;
    std::vector<float> across(rows * columns);
    constexpr float NONE = -std::numeric_limits<float>::infinity();
    for (int64_t map = 0; map < maps.count; ++map) {
        const float *from = values + map * rows * columns, *price = prices + map * 4;
        float* to = out + map * rows * columns;
        std::fill(across.begin(), across.end(), NONE);
        std::fill(to, to + rows * columns, NONE);
        for (int64_t away = -reach; away <= reach; ++away) {
            const float cost = price[0] * float(away * away) + price[1] * float(away);
            const int64_t first = std::max<int64_t>(0, away), last = std::min(columns, columns + away);
            for (int64_t row = 0; row < rows; ++row) {
                float* best = across.data() + row * columns;
                const float* source = from + row * columns - away;
                for (int64_t k = first; k < last; ++k) best[k] = std::max(best[k], source[k] - cost);
            }
        }
        for (int64_t row = 0; row < rows; ++row) {
            float* best = to + row * columns;
            for (int64_t away = std::max(-reach, row - rows + 1); away <= std::min(reach, row); ++away) {
                const float cost = price[2] * float(away * away) + price[3] * float(away);
                const float* source = across.data() + (row - away) * columns;
                for (int64_t k = 0; k < columns; ++k) best[k] = std::max(best[k], source[k] - cost);
            }
        }
    }
}

}  // namespace pellucid
