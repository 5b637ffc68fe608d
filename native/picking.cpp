#include "picking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "parallel.hpp"

namespace pellucid {

namespace {

constexpr int64_t WORTH_A_THREAD = 16384;  // elements read below which another thread costs more than it saves
constexpr int64_t LINE = 64;               // bytes that threads do not share

struct Wants {
    size_t sizes, numbers;
};

Wants wants(Picking kind) {
    switch (kind) {
        case Picking::blend:
        case Picking::spread:
        case Picking::likeness: return {5, 0};
        case Picking::region_average:
        case Picking::region_spread: return {9, 1};
        case Picking::region_winners: return {7, 1};
        case Picking::taken:
        case Picking::given: return {4, 0};
        case Picking::ranks: return {5, 0};
        case Picking::suppression: return {6, 2};
    }
    return {0, 0};
}

int64_t padded(int64_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

// One axis of a region: for each bin the elements that its samples lie between, and their shares of the bin.
struct Side {
    int64_t bins, size;
    int32_t* counts;    // of each bin
    int32_t* elements;  // (bins, size), the first `counts` of each row
    float* shares;      // (bins, size)
    float* dense;       // (size)
    int64_t low, high;  // all elements of all bins lie from low to high

    static int64_t bytes(int64_t bins, int64_t size) { return padded(4 * bins) + 2 * padded(4 * bins * size) + padded(4 * size); }

    Side(char*& at, int64_t bins, int64_t size) : bins(bins), size(size), low(0), high(0) {
        counts = take<int32_t>(at, bins);
        elements = take<int32_t>(at, bins * size);
        shares = take<float>(at, bins * size);
        dense = take<float>(at, size);
    }

    template <class T>
    static T* take(char*& at, int64_t count) {
        T* found = reinterpret_cast<T*>(at);
        at += padded(4 * count);
        return found;
    }

    void fill(float start, float end, int64_t samples, bool aligned) {
        float extent = end - start;
        if (!aligned) extent = extent < 1.0f ? 1.0f : extent;
        const float step = extent / float(bins);
        if (!samples) samples = std::isfinite(extent) ? int64_t(std::ceil(extent / float(bins))) : 1;
        const bool real = std::isfinite(start + step);
        low = size, high = 0;
        for (int64_t bin = 0; bin < bins; ++bin) {
            std::fill(dense, dense + size, 0.0f);
            const float share = float(std::max<int64_t>(1, samples));
            for (int64_t sample = 0; sample < samples; ++sample) {
                float place = start + float(bin) * step + (float(sample) + 0.5f) * step / float(samples);
                const bool inside = place >= -1.0f && place <= float(size);
                place = inside ? std::max(place, 0.0f) : 0.0f;
                const int64_t first = std::min<int64_t>(int64_t(place), size - 1), second = std::min(first + 1, size - 1);
                const float above = first < size - 1 ? place - float(first) : 0.0f;
                const float nan = std::numeric_limits<float>::quiet_NaN();
                dense[first] += real ? (inside ? (1.0f - above) / share : 0.0f) : nan;
                dense[second] += real ? (inside ? above / share : 0.0f) : nan;
            }
            int32_t count = 0;
            for (int64_t element = 0; element < size; ++element)
                if (dense[element] != 0.0f) {
                    elements[bin * size + count] = int32_t(element);
                    shares[bin * size + count++] = dense[element];
                    low = std::min(low, element);
                    high = std::max(high, element + 1);
                }
            counts[bin] = count;
        }
        low = std::min(low, high);
    }
};

struct Regions {
    int64_t boxes, pictures, channels, height, width, down, across, samples, aligned;
    float scale;

    Regions(const std::vector<int64_t>& s, float scale)
        : boxes(s[0]), pictures(s[1]), channels(s[2]), height(s[3]), width(s[4]), down(s[5]), across(s[6]), samples(s[7]), aligned(s[8]),
          scale(scale) {}

    int64_t bytes() const { return Side::bytes(down, height) + Side::bytes(across, width) + padded(4 * width); }

    void place(const float* box, Side& rows, Side& columns) const {
        const float offset = aligned ? 0.5f : 0.0f;
        rows.fill(box[1] * scale - offset, box[3] * scale - offset, samples, aligned);
        columns.fill(box[0] * scale - offset, box[2] * scale - offset, samples, aligned);
    }
};

// Average: out[i][j] = sum over rows and columns of their shares times image.
void average(const float* image, int64_t width, const Side& rows, const Side& columns, float* line, float* out) {
    for (int64_t i = 0; i < rows.bins; ++i) {
        std::fill(line + columns.low, line + columns.high, 0.0f);
        for (int32_t k = 0; k < rows.counts[i]; ++k) {
            const float* from = image + rows.elements[i * rows.size + k] * width;
            const float share = rows.shares[i * rows.size + k];
            for (int64_t w = columns.low; w < columns.high; ++w) line[w] += share * from[w];
        }
        for (int64_t j = 0; j < columns.bins; ++j) {
            float total = 0.0f;
            for (int32_t k = 0; k < columns.counts[j]; ++k)
                total += columns.shares[j * columns.size + k] * line[columns.elements[j * columns.size + k]];
            out[i * columns.bins + j] = total;
        }
    }
}

// Its adjoint: adds to the image what the bins' gradients send there.
void give_back(float* image, int64_t width, const Side& rows, const Side& columns, float* line, const float* g) {
    for (int64_t i = 0; i < rows.bins; ++i) {
        std::fill(line + columns.low, line + columns.high, 0.0f);
        for (int64_t j = 0; j < columns.bins; ++j)
            for (int32_t k = 0; k < columns.counts[j]; ++k)
                line[columns.elements[j * columns.size + k]] += columns.shares[j * columns.size + k] * g[i * columns.bins + j];
        for (int32_t k = 0; k < rows.counts[i]; ++k) {
            float* to = image + rows.elements[i * rows.size + k] * width;
            const float share = rows.shares[i * rows.size + k];
            for (int64_t w = columns.low; w < columns.high; ++w) to[w] += share * line[w];
        }
    }
}

// Rows or columns of a bin.
struct Ends {
    int64_t first, last;

    bool none() const { return first >= last; }
};

// A region of a few channels, brought side by side, and the place of the largest of each in a bin. Of equal ones the first counts;
// NaN counts as larger than any number.
struct FewChannels {
    static constexpr int64_t WIDE = 4, MOST = 1 << 16;  // channels; elements of a plane that is not too large for it
    typedef float Values __attribute__((vector_size(4 * WIDE)));
    typedef int32_t Places __attribute__((vector_size(4 * WIDE)));

    Values* values;
    Ends rows, columns;
    int64_t width;

    static int64_t bytes(int64_t plane) { return plane <= MOST ? plane * int64_t(sizeof(Values)) : 0; }

    int64_t across() const { return columns.last - columns.first; }

    void gather(const float* x, int64_t plane, int64_t channels) {
        for (int64_t k = 0; k < WIDE; ++k) {
            const float* from = x + std::min(k, channels - 1) * plane;
            float* to = reinterpret_cast<float*>(values) + k;
            for (int64_t row = rows.first; row < rows.last; ++row)
                for (int64_t column = columns.first; column < columns.last; ++column, to += WIDE) *to = from[row * width + column];
        }
    }

    Places largest(Ends down, Ends along) const {
        const Places none{};
        Places best = none + int32_t(down.first * width + along.first);
        Values most = values[(down.first - rows.first) * across() + along.first - columns.first];
        for (int64_t row = down.first; row < down.last; ++row)
            for (int64_t column = along.first; column < along.last; ++column) {
                const Values value = values[(row - rows.first) * across() + column - columns.first];
                const Places better = ~(value <= most) & (most == most);
                best = better ? none + int32_t(row * width + column) : best;
                most = better ? value : most;
            }
        return best;
    }
};

// The same of one channel, whose plane is large.
int64_t largest(const float* plane, int64_t width, Ends rows, Ends columns) {
    int64_t best = rows.first * width + columns.first;
    float most = plane[best];
    for (int64_t row = rows.first; row < rows.last; ++row)
        for (int64_t at = row * width + columns.first; at < row * width + columns.last; ++at)
            if (!(plane[at] <= most) && most == most) best = at, most = plane[at];
    return best;
}

struct Box {
    float low[2], high[2], area;

    Box(const float* given, bool center) {
        for (int a = 0; a < 2; ++a) {
            low[a] = center ? given[a] - given[2 + a] / 2 : std::min(given[a], given[2 + a]);
            high[a] = center ? given[a] + given[2 + a] / 2 : std::max(given[a], given[2 + a]);
        }
        area = (high[0] - low[0]) * (high[1] - low[1]);
    }
};

// Boxes that others may overlap, four at a time.
struct Kept {
    static constexpr int64_t WIDE = 4;
    typedef float Four __attribute__((vector_size(4 * WIDE)));

    Four *low[2], *high[2], *area;
    int64_t number = 0;

    static int64_t fours(int64_t count) { return (count + WIDE - 1) / WIDE; }
    static int64_t bytes(int64_t count) { return 5 * padded(sizeof(Four) * fours(count)); }

    Kept(char* at, int64_t count) {
        for (Four** of : {low, low + 1, high, high + 1, &area}) {
            *of = reinterpret_cast<Four*>(at);
            at += padded(sizeof(Four) * fours(count));
        }
    }

    void clear() { number = 0; }

    void add(const Box& box) {
        const int64_t four = number / WIDE, place = number++ % WIDE;
        if (!place) low[0][four] = low[1][four] = high[0][four] = high[1][four] = area[four] = Four{};  // of no area
        for (int a = 0; a < 2; ++a) low[a][four][place] = box.low[a], high[a][four][place] = box.high[a];
        area[four][place] = box.area;
    }

    // Whether the share that one of them and a box have in common, of what either covers, is above `most`.
    bool overlap(const Box& box, float most) const {
        const Four none{};
        for (int64_t k = 0; k < fours(number); ++k) {
            Four sides[2];
            for (int a = 0; a < 2; ++a) {
                const Four from = box.low[a] < low[a][k] ? low[a][k] : box.low[a] - none, upto = high[a][k] < box.high[a] ? high[a][k] : box.high[a] - none;
                sides[a] = upto - from;
                sides[a] = sides[a] < 0.0f ? none : sides[a];
            }
            const Four shared = sides[0] * sides[1], whole = box.area + area[k] - shared;
            const auto above = (box.area > none) & (area[k] > 0.0f) & (whole > 0.0f) & (shared / whole > most);
            if (above[0] | above[1] | above[2] | above[3]) return true;
        }
        return false;
    }
};

}  // namespace

Pick::Pick(std::string name, Picking kind, std::vector<int64_t> sizes, std::vector<double> numbers, Place a, Place b, Place c, Place to)
    : Step(std::move(name)), kind_(kind), sizes_(std::move(sizes)), numbers_(std::move(numbers)), a_(a), b_(b), c_(c), to_(to) {
    if (sizes_.size() != wants(kind).sizes || numbers_.size() != wants(kind).numbers)
        throw std::invalid_argument("it wants another number of sizes");
    for (const int64_t size : sizes_)
        if (size < 0) throw std::invalid_argument("its sizes must not be negative");
    const bool regions = kind == Picking::region_average || kind == Picking::region_spread;
    if (kind == Picking::region_winners && (!sizes_[5] || !sizes_[6])) throw std::invalid_argument("its bins have no elements");
    if (regions && (!sizes_[3] || !sizes_[4] || !sizes_[5] || !sizes_[6] || std::max(sizes_[3], sizes_[4]) > std::numeric_limits<int32_t>::max()))
        throw std::invalid_argument("its image or its bins have no elements, or too many");
    if (kind == Picking::ranks && sizes_[3] > sizes_[1]) throw std::invalid_argument("it asks for more elements than there are");
}

std::vector<Access> Pick::accesses() const {
    const auto& s = sizes_;
    switch (kind_) {
        case Picking::blend:
            return {access("images", a_, DType::f32, {s[0], s[1], s[2]}), access("weights", b_, DType::f32, {s[0], s[3], s[4]}),
                    access("places", c_, DType::i64, {s[0], s[3], s[4]}), access("result", to_, DType::f32, {s[0], s[1], s[3]})};
        case Picking::spread:
            return {access("gradients", a_, DType::f32, {s[0], s[1], s[3]}), access("weights", b_, DType::f32, {s[0], s[3], s[4]}),
                    access("places", c_, DType::i64, {s[0], s[3], s[4]}), access("result", to_, DType::f32, {s[0], s[1], s[2]})};
        case Picking::likeness:
            return {access("images", a_, DType::f32, {s[0], s[1], s[2]}), access("gradients", b_, DType::f32, {s[0], s[1], s[3]}),
                    access("places", c_, DType::i64, {s[0], s[3], s[4]}), access("result", to_, DType::f32, {s[0], s[3], s[4]})};
        case Picking::region_average:
        case Picking::region_spread: {
            const std::initializer_list<int64_t> images{s[1], s[2], s[3], s[4]}, maps{s[0], s[2], s[5], s[6]};
            const bool forward = kind_ == Picking::region_average;
            return {access("images", forward ? a_ : to_, DType::f32, images), access("maps", forward ? to_ : a_, DType::f32, maps),
                    access("boxes", b_, DType::f32, {s[0], 4}), access("pictures", c_, DType::i64, {s[0]})};
        }
        case Picking::region_winners:
            return {access("images", a_, DType::f32, {s[1], s[2], s[3], s[4]}), access("boxes", b_, DType::f32, {s[0], 4}),
                    access("pictures", c_, DType::i64, {s[0]}), access("result", to_, DType::i64, {s[0], s[2], s[5], s[6]})};
        case Picking::taken:
            return {access("values", a_, DType::f32, {s[0], s[1], s[2]}), access("places", b_, DType::i64, {s[3]}),
                    access("result", to_, DType::f32, {s[0], s[3], s[2]})};
        case Picking::given:
            return {access("gradients", a_, DType::f32, {s[0], s[3], s[2]}), access("places", b_, DType::i64, {s[3]}),
                    access("result", to_, DType::f32, {s[0], s[1], s[2]})};
        case Picking::ranks:
            return {access("values", a_, DType::f32, {s[0], s[1], s[2]}), access("result", to_, DType::i64, {s[0], s[3], s[2]})};
        case Picking::suppression:
            return {access("boxes", a_, DType::f32, {s[0], s[1], 4}), access("scores", b_, DType::f32, {s[0], s[2], s[1]}),
                    access("result", to_, DType::i64, {s[0], s[2], std::min(s[3], s[1]), 3})};
    }
    return {};
}

int Pick::workers(int threads) const {
    const auto& s = sizes_;
    int64_t parts = 1, work = 0;
    switch (kind_) {
        case Picking::blend:
        case Picking::spread: parts = s[0] * s[1], work = parts * s[3] * s[4]; break;
        case Picking::likeness: parts = s[0] * s[3], work = parts * s[1] * s[4]; break;
        case Picking::region_average: parts = s[0], work = parts * s[2] * s[5] * s[6] * 16; break;
        case Picking::region_spread: parts = s[2], work = parts * s[0] * s[5] * s[6] * 16; break;
        case Picking::region_winners: parts = s[0], work = parts * s[2] * s[5] * s[6] * 16; break;
        case Picking::taken: parts = s[0] * s[3], work = parts * s[2]; break;
        case Picking::given: parts = s[0], work = parts * s[3] * s[2]; break;
        case Picking::ranks: parts = s[0] * s[2], work = parts * s[1] * 8; break;
        case Picking::suppression: break;
    }
    return int(std::max<int64_t>(1, std::min({int64_t(threads), parts, work / WORTH_A_THREAD})));
}

int64_t Pick::scratch_bytes(int threads) const {
    const auto& s = sizes_;
    switch (kind_) {
        case Picking::region_average:
        case Picking::region_spread: return workers(threads) * Regions(s, 1.0f).bytes();
        case Picking::ranks: return workers(threads) * (padded(4 * s[1]) + padded(8 * s[1]));
        case Picking::region_winners: return workers(threads) * winners_bytes();
        case Picking::suppression: return padded(8 * s[1]) + Kept::bytes(s[1]);
        default: return 0;
    }
}

void Pick::run(Context& context, State*) const {
    switch (kind_) {
        case Picking::blend: return blend(context);
        case Picking::spread: return spread(context);
        case Picking::likeness: return likeness(context);
        case Picking::region_average:
        case Picking::region_spread: return regions(context);
        case Picking::region_winners: return winners(context);
        case Picking::taken: return taken(context);
        case Picking::given: return given(context);
        case Picking::ranks: return ranks(context);
        case Picking::suppression: return suppression(context);
    }
}

void Pick::blend(Context& context) const {
    const int64_t channels = sizes_[1], elements = sizes_[2], count = sizes_[3], taps = sizes_[4], planes = sizes_[0] * channels;
    const float *x = context.at<const float>(a_), *weights = context.at<const float>(b_);
    const int64_t* places = context.at<const int64_t>(c_);
    float* y = context.at<float>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        for (int64_t plane = planes * number / all; plane < planes * (number + 1) / all; ++plane) {
            const int64_t first = plane / channels * count * taps;
            const float* image = x + plane * elements;
            for (int64_t p = 0; p < count; ++p) {
                float total = 0.0f;
                for (int64_t k = first + p * taps; k < first + (p + 1) * taps; ++k) total += weights[k] * image[places[k]];
                y[plane * count + p] = total;
            }
        }
    });
}

void Pick::spread(Context& context) const {
    const int64_t channels = sizes_[1], elements = sizes_[2], count = sizes_[3], taps = sizes_[4], planes = sizes_[0] * channels;
    const float *g = context.at<const float>(a_), *weights = context.at<const float>(b_);
    const int64_t* places = context.at<const int64_t>(c_);
    float* y = context.at<float>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        for (int64_t plane = planes * number / all; plane < planes * (number + 1) / all; ++plane) {
            const int64_t first = plane / channels * count * taps;
            float* image = y + plane * elements;
            std::fill(image, image + elements, 0.0f);
            for (int64_t p = 0; p < count; ++p)
                for (int64_t k = first + p * taps; k < first + (p + 1) * taps; ++k) image[places[k]] += weights[k] * g[plane * count + p];
        }
    });
}

void Pick::likeness(Context& context) const {
    const int64_t channels = sizes_[1], elements = sizes_[2], count = sizes_[3], taps = sizes_[4], lines = sizes_[0] * count;
    const float *x = context.at<const float>(a_), *g = context.at<const float>(b_);
    const int64_t* places = context.at<const int64_t>(c_);
    float* y = context.at<float>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        for (int64_t line = lines * number / all; line < lines * (number + 1) / all; ++line) {
            const int64_t n = line / count, p = line % count;
            for (int64_t k = line * taps; k < (line + 1) * taps; ++k) {
                float total = 0.0f;
                for (int64_t c = 0; c < channels; ++c) total += g[(n * channels + c) * count + p] * x[(n * channels + c) * elements + places[k]];
                y[k] = total;
            }
        }
    });
}

void Pick::regions(Context& context) const {
    const Regions r(sizes_, float(numbers_[0]));
    const bool forward = kind_ == Picking::region_average;
    const float *from = context.at<const float>(a_), *boxes = context.at<const float>(b_);
    const int64_t* pictures = context.at<const int64_t>(c_);
    float* to = context.at<float>(to_);
    const int64_t plane = r.height * r.width, map = r.down * r.across;
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        char* at = context.scratch + number * r.bytes();
        Side rows(at, r.down, r.height), columns(at, r.across, r.width);
        float* line = reinterpret_cast<float*>(at);
        const auto part = [&](int64_t count) { return std::pair(count * number / all, count * (number + 1) / all); };
        const auto [first_box, last_box] = forward ? part(r.boxes) : std::pair<int64_t, int64_t>(0, r.boxes);
        const auto [first, last] = forward ? std::pair<int64_t, int64_t>(0, r.channels) : part(r.channels);
        if (!forward)
            for (int64_t n = 0; n < r.pictures; ++n) std::fill(to + (n * r.channels + first) * plane, to + (n * r.channels + last) * plane, 0.0f);
        for (int64_t box = first_box; box < last_box; ++box) {
            r.place(boxes + 4 * box, rows, columns);
            for (int64_t c = first; c < last; ++c) {
                const int64_t image = (pictures[box] * r.channels + c) * plane, bins = (box * r.channels + c) * map;
                if (forward) average(from + image, r.width, rows, columns, line, to + bins);
                else give_back(to + image, r.width, rows, columns, line, from + bins);
            }
        }
    });
}

// Corners rounded to elements, halves away from 0; bins from floor to ceil of equal parts, cut to the image.
void Pick::winners(Context& context) const {
    const int64_t boxes = sizes_[0], channels = sizes_[2], height = sizes_[3], width = sizes_[4], down = sizes_[5], across = sizes_[6];
    const int64_t plane = height * width, bins = down * across;
    const float scale = float(numbers_[0]);
    const float *x = context.at<const float>(a_), *corners = context.at<const float>(b_);
    const int64_t* pictures = context.at<const int64_t>(c_);
    int64_t* to = context.at<int64_t>(to_);
    const int all = workers(context.threads);
    const auto ends = [](float low, float high, int64_t bins, int64_t bin, int64_t size) {
        const float step = std::max(high - low + 1.0f, 1.0f) / float(bins), most = float(size);
        const float from = std::floor(float(bin) * step) + low, upto = std::ceil(float(bin + 1) * step) + low;
        return Ends{int64_t(std::min(std::max(from, 0.0f), most)), int64_t(std::min(std::max(upto, 0.0f), most))};
    };
    const auto whole = [](const Ends* parts, int64_t count) {
        Ends all{0, 0};
        for (int64_t k = 0; k < count; ++k)
            if (!parts[k].none()) all = all.none() ? parts[k] : Ends{std::min(all.first, parts[k].first), std::max(all.last, parts[k].last)};
        return all;
    };
    in_parallel(all, [&](int64_t number) {
        char* at = context.scratch + number * winners_bytes();
        Ends *rows = reinterpret_cast<Ends*>(at), *columns = rows + down;
        FewChannels some{reinterpret_cast<FewChannels::Values*>(at + padded(sizeof(Ends) * (down + across))), {}, {}, width};
        for (int64_t box = boxes * number / all; box < boxes * (number + 1) / all; ++box) {
            const auto corner = [&](int k) { return std::round(corners[4 * box + k] * scale); };
            const float x1 = corner(0), y1 = corner(1), x2 = corner(2), y2 = corner(3);
            for (int64_t i = 0; i < down; ++i) rows[i] = ends(y1, y2, down, i, height);
            for (int64_t j = 0; j < across; ++j) columns[j] = ends(x1, x2, across, j, width);
            some.rows = whole(rows, down), some.columns = whole(columns, across);
            const bool together = plane <= FewChannels::MOST;
            const int64_t wide = together ? FewChannels::WIDE : 1;
            for (int64_t c = 0; c < channels; c += wide) {
                const int64_t start = (pictures[box] * channels + c) * plane, count = std::min(wide, channels - c);
                if (together) some.gather(x + start, plane, count);
                for (int64_t bin = 0; bin < bins; ++bin) {
                    const Ends row = rows[bin / across], column = columns[bin % across];
                    int64_t* winner = to + (box * channels + c) * bins + bin;
                    if (row.none() || column.none()) {
                        for (int64_t k = 0; k < count; ++k) winner[k * bins] = -1;
                    } else if (together) {
                        const FewChannels::Places best = some.largest(row, column);
                        for (int64_t k = 0; k < count; ++k) winner[k * bins] = start + k * plane + best[k];
                    } else {
                        *winner = start + largest(x + start, width, row, column);
                    }
                }
            }
        }
    });
}

int64_t Pick::winners_bytes() const {
    const auto& s = sizes_;
    return padded(sizeof(Ends) * (s[5] + s[6])) + FewChannels::bytes(s[3] * s[4]);
}

void Pick::taken(Context& context) const {
    const int64_t length = sizes_[1], behind = sizes_[2], picks = sizes_[3], lines = sizes_[0] * picks;
    const float* x = context.at<const float>(a_);
    const int64_t* places = context.at<const int64_t>(b_);
    float* y = context.at<float>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        const int64_t first = lines * number / all, last = lines * (number + 1) / all;
        if (lines == picks && behind == 1) {
            for (int64_t line = first; line < last; ++line) y[line] = x[places[line]];
            return;
        }
        for (int64_t line = first; line < last; ++line) {
            const float* from = x + (line / picks * length + places[line % picks]) * behind;
            std::copy(from, from + behind, y + line * behind);
        }
    });
}

// Sums go from the first pick to the last, so that threads do not change them.
void Pick::given(Context& context) const {
    const int64_t before = sizes_[0], length = sizes_[1], behind = sizes_[2], picks = sizes_[3];
    const float* g = context.at<const float>(a_);
    const int64_t* places = context.at<const int64_t>(b_);
    float* y = context.at<float>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        for (int64_t line = before * number / all; line < before * (number + 1) / all; ++line) {
            float* to = y + line * length * behind;
            std::fill(to, to + length * behind, 0.0f);
            for (int64_t k = 0; k < picks; ++k) {
                const float* from = g + (line * picks + k) * behind;
                float* sum = to + places[k] * behind;
                for (int64_t e = 0; e < behind; ++e) sum[e] += from[e];
            }
        }
    });
}

void Pick::ranks(Context& context) const {
    const int64_t length = sizes_[1], behind = sizes_[2], count = sizes_[3], lines = sizes_[0] * behind;
    const bool largest = sizes_[4] != 0;
    const float* x = context.at<const float>(a_);
    int64_t* y = context.at<int64_t>(to_);
    const int all = workers(context.threads);
    in_parallel(all, [&](int64_t number) {
        char* at = context.scratch + number * (padded(4 * length) + padded(8 * length));
        float* values = reinterpret_cast<float*>(at);
        int64_t* order = reinterpret_cast<int64_t*>(at + padded(4 * length));
        const auto before = [&](int64_t i, int64_t j) {
            const float a = values[i], b = values[j];
            const bool no_a = std::isnan(a), no_b = std::isnan(b);
            if (no_a != no_b) return largest ? no_a : no_b;
            if (no_a || a == b) return i < j;
            return largest ? a > b : a < b;
        };
        for (int64_t line = lines * number / all; line < lines * (number + 1) / all; ++line) {
            const float* from = x + line / behind * length * behind + line % behind;
            for (int64_t i = 0; i < length; ++i) values[i] = from[i * behind], order[i] = i;
            std::partial_sort(order, order + count, order + length, before);
            int64_t* to = y + line / behind * count * behind + line % behind;
            for (int64_t k = 0; k < count; ++k) to[k * behind] = order[k];
        }
    });
}

void Pick::suppression(Context& context) const {
    const int64_t pictures = sizes_[0], count = sizes_[1], classes = sizes_[2], most = std::min(sizes_[3], count);
    const bool center = sizes_[4] != 0, has_least = sizes_[5] != 0;
    const float overlap = float(numbers_[0]), least = float(numbers_[1]);
    const float *boxes = context.at<const float>(a_), *scores = context.at<const float>(b_);
    int64_t *rows = context.at<int64_t>(to_), *row = rows;
    int64_t* order = reinterpret_cast<int64_t*>(context.scratch);
    Kept kept(context.scratch + padded(8 * count), count);
    for (int64_t n = 0; n < pictures; ++n) {
        for (int64_t c = 0; c < classes; ++c) {
            const float* score = scores + (n * classes + c) * count;
            int64_t waiting = 0;
            for (int64_t i = 0; i < count; ++i)
                if (!has_least || score[i] > least) order[waiting++] = i;
            std::sort(order, order + waiting, [&](int64_t i, int64_t j) {
                const bool no_i = std::isnan(score[i]), no_j = std::isnan(score[j]);
                if (no_i != no_j) return no_j;
                return no_i || score[i] == score[j] ? i < j : score[i] > score[j];
            });
            kept.clear();
            for (int64_t k = 0; k < waiting && kept.number < most; ++k) {
                const Box mine(boxes + (n * count + order[k]) * 4, center);
                if (kept.overlap(mine, overlap)) continue;
                kept.add(mine);
                row[0] = n, row[1] = c, row[2] = order[k], row += 3;
            }
        }
    }
    std::fill(row, rows + pictures * classes * most * 3, int64_t(-1));
}

}  // namespace pellucid
