// Picking against the definitions: sums over places, regions and their adjoint, ranks, and boxes that do not overlap.
#include "../picking.hpp"

#include <algorithm>
#include <limits>

#include "check.hpp"

namespace pellucid::test {
namespace {

using Wholes = std::vector<int64_t>;

constexpr float NO_NUMBER = std::numeric_limits<float>::quiet_NaN();
const Place A{1, 0}, B{2, 0}, C{3, 0}, TO{4, 0}, NONE{0, 0};

std::unique_ptr<Step> step(Picking kind, Wholes sizes, std::vector<double> numbers, Place c, Place to) {
    return std::make_unique<Pick>("pick", kind, std::move(sizes), std::move(numbers), A, B, c, to);
}

TEST(sums_over_places) {
    const Wholes sizes[] = {{1, 1, 1, 1, 1}, {2, 3, 7, 5, 4}, {3, 16, 400, 120, 8}, {1, 40, 900, 500, 16}};
    for (const auto& size : sizes)
        for (const int threads : {1, 3}) {
            const int64_t n = size[0], channels = size[1], elements = size[2], count = size[3], taps = size[4];
            Floats x = whole_numbers(n * channels * elements, 1), g = whole_numbers(n * channels * count, 2), w = whole_numbers(n * count * taps, 3);
            Wholes places(n * count * taps);
            for (size_t i = 0; i < places.size(); ++i) places[i] = int64_t(i * i * 7 + i) % elements;
            Floats y(g.size(), 9), back(x.size(), 9), like(w.size(), 9), right_y(g.size()), right_back(x.size()), right_like(w.size());
            for (int64_t plane = 0; plane < n * channels; ++plane)
                for (int64_t p = 0; p < count; ++p)
                    for (int64_t k = 0; k < taps; ++k) {
                        const int64_t at = (plane / channels * count + p) * taps + k, from = plane * elements + places[at];
                        right_y[plane * count + p] += w[at] * x[from];
                        right_back[from] += w[at] * g[plane * count + p];
                        right_like[at] += g[plane * count + p] * x[from];
                    }
            run(step(Picking::blend, size, {}, C, TO), threads, x, w, places, y);
            run(step(Picking::spread, size, {}, C, TO), threads, g, w, places, back);
            run(step(Picking::likeness, size, {}, C, TO), threads, x, g, places, like);
            check_near("blend", y, right_y, 0, 0);
            check_near("spread", back, right_back, 0, 0);
            check_near("likeness", like, right_like, 0, 0);
        }
}

TEST(regions) {
    const int64_t channels = 5, height = 9, width = 11;
    Floats x = whole_numbers(2 * channels * height * width, 1);
    Floats boxes = {0, 0, 11, 9, 2, 1, 6, 5, -3, -2, 30, 4, 4, 4, 4, 4, 9, 8, 2, 1, NO_NUMBER, 0, 4, 4};
    Wholes pictures = {0, 1, 1, 0, 0, 1};
    for (const int64_t samples : {0, 1, 3})
        for (const int64_t aligned : {0, 1})
            for (const int threads : {1, 4}) {
                const Wholes size = {5, 2, channels, height, width, 3, 2, samples, aligned};
                Floats few(boxes.begin(), boxes.begin() + 20), y(5 * channels * 6, 9), back(x.size(), 9), g = whole_numbers(5 * channels * 6, 4);
                Wholes some(pictures.begin(), pictures.begin() + 5);
                run(step(Picking::region_average, size, {1.0}, C, TO), threads, x, few, some, y);
                run(step(Picking::region_spread, size, {1.0}, C, TO), threads, g, few, some, back);
                double forward = 0, backward = 0;
                for (size_t i = 0; i < y.size(); ++i) forward += double(y[i]) * double(g[i]);
                for (size_t i = 0; i < x.size(); ++i) backward += double(x[i]) * double(back[i]);
                check_near("adjoint", std::vector<double>{backward}, std::vector<double>{forward}, 1e-5, 1e-3);
            }
    Floats ones(x.size(), 1.0f), y(channels * 6, 9), inside = {1, 1, 7, 7};
    Wholes first = {0};
    run(step(Picking::region_average, {1, 2, channels, height, width, 3, 2, 2, 1}, {1.0}, C, TO), 2, ones, inside, first, y);
    check_near("ones", y, Floats(y.size(), 1.0f), 1e-6, 0);
    Floats strange(boxes.begin() + 20, boxes.end());
    run(step(Picking::region_average, {1, 2, channels, height, width, 3, 2, 2, 1}, {1.0}, C, TO), 2, ones, strange, first, y);
    check_near("no box", y, Floats(y.size(), NO_NUMBER), 0, 0);
}

TEST(elements_taken_and_given_back) {
    for (const int64_t behind : {1, 3})
        for (const int64_t before : {1, 7})
            for (const int threads : {1, 3}) {
                const int64_t length = 50, picks = 4000;
                Floats x = whole_numbers(before * length * behind, 1), g = whole_numbers(before * picks * behind, 2);
                Floats y(g.size(), 9), back(x.size(), 9), right_y(g.size()), right_back(x.size());
                Wholes places(picks), none;
                for (int64_t k = 0; k < picks; ++k) places[k] = (k * k * 7 + k) % length;
                for (int64_t line = 0; line < before * picks; ++line)
                    for (int64_t e = 0; e < behind; ++e) {
                        const int64_t from = (line / picks * length + places[line % picks]) * behind + e;
                        right_y[line * behind + e] = x[from];
                        right_back[from] += g[line * behind + e];
                    }
                run(step(Picking::taken, {before, length, behind, picks}, {}, NONE, TO), threads, x, places, none, y);
                run(step(Picking::given, {before, length, behind, picks}, {}, NONE, TO), threads, g, places, none, back);
                check_near("taken", y, right_y, 0, 0);
                check_near("given", back, right_back, 0, 0);
            }
}

TEST(winners_of_regions) {
    Floats x = {1, 5, 2, 3, 9, 4, 7, 0, NO_NUMBER, 6, 8, 8};  // 3 rows of 4
    Floats boxes = {0, 0, 3, 2, 2, 1, 2, 1, 40, 40, 50, 50, 3, 2, 0, 0};
    Wholes pictures = {0, 0, 0, 0}, y(4 * 4, 9);
    for (const int threads : {1, 3}) {
        run(step(Picking::region_winners, {4, 1, 1, 3, 4, 2, 2}, {1.0}, C, TO), threads, x, boxes, pictures, y);
        check_near("winners", y, Wholes{4, 6, 8, 10, 6, 6, 6, 6, -1, -1, -1, -1, 11, 11, 11, 11}, 0, 0);
    }
}

TEST(ranks) {
    for (const int64_t behind : {1, 3})
        for (const int64_t count : {0, 1, 5, 200})
            for (const bool largest : {false, true})
                for (const int threads : {1, 3}) {
                    const int64_t before = 4, length = 200;
                    Floats x = whole_numbers(before * length * behind, 5);
                    x[7 * behind] = NO_NUMBER;
                    Wholes y(before * count * behind), expected(y.size());
                    for (int64_t line = 0; line < before * behind; ++line) {
                        Wholes order(length);
                        for (int64_t i = 0; i < length; ++i) order[i] = i;
                        const auto key = [&](int64_t i) {
                            const float value = x[(line / behind * length + i) * behind + line % behind];
                            return std::isnan(value) ? 1e9f : value;
                        };
                        std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return largest ? key(i) > key(j) : key(i) < key(j); });
                        for (int64_t k = 0; k < count; ++k) expected[(line / behind * count + k) * behind + line % behind] = order[k];
                    }
                    run(std::make_unique<Pick>("ranks", Picking::ranks, Wholes{before, length, behind, count, largest}, std::vector<double>{}, A, NONE,
                                               NONE, B), threads, x, y);
                    check_near("ranks", y, expected, 0, 0);
                }
}

TEST(suppression) {
    Floats boxes = {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 1, 0.9f, 0, -0.1f, 0, 10, 1, 11, 3, 3, 3, 3};
    Floats scores = {0.9f, 0.75f, 0.6f, 0.95f, 0.5f, 0.2f, 0.2f, 0.1f, NO_NUMBER, 0.2f};
    Wholes rows(2 * 3 * 3, 7);
    run(std::make_unique<Pick>("boxes", Picking::suppression, Wholes{1, 5, 2, 3, 0, 1}, std::vector<double>{0.5, 0.15}, A, B, NONE, C), 1, boxes, scores,
        rows);
    check_near("rows", rows, Wholes{0, 0, 3, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 1, 4, -1, -1, -1}, 0, 0);
}

}  // namespace
}  // namespace pellucid::test
