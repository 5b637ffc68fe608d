#include "regions.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <vector>

namespace pellucid {

namespace {

class Parts {
public:
    explicit Parts(int64_t count) : parents_(count), sizes_(count, 1) { std::iota(parents_.begin(), parents_.end(), 0); }

    int32_t find(int32_t one) {
        while (parents_[one] != one) one = parents_[one] = parents_[parents_[one]];
        return one;
    }
    int32_t join(int32_t a, int32_t b) {
        if (sizes_[a] < sizes_[b]) std::swap(a, b);
        parents_[b] = a;
        sizes_[a] += sizes_[b];
        return a;
    }
    int64_t size(int32_t root) const { return sizes_[root]; }

private:
    std::vector<int32_t> parents_;
    std::vector<int64_t> sizes_;
};

double shared(const double* a, const double* b, int64_t count) {
    double sum = 0.0;
    for (int64_t k = 0; k < count; ++k) sum += std::min(a[k], b[k]);
    return sum;
}

int64_t alike(const Regions& regions, Likeness likeness, int32_t a, int32_t b) {
    const int64_t width = regions.colors + regions.textures;
    const double *one = regions.histograms + a * width, *other = regions.histograms + b * width;
    const double pixels = double(regions.pixels), both = double(regions.sizes[a] + regions.sizes[b]);
    double sum = 0.0;
    if (likeness.color) sum += shared(one, other, regions.colors);
    if (likeness.texture) sum += shared(one + regions.colors, other + regions.colors, regions.textures);
    if (likeness.size) sum += 1.0 - both / pixels;
    if (likeness.fill) {
        const int64_t *p = regions.boxes + 4 * a, *q = regions.boxes + 4 * b;
        const int64_t wide = std::max(p[2], q[2]) - std::min(p[0], q[0]) + 1, high = std::max(p[3], q[3]) - std::min(p[1], q[1]) + 1;
        sum += 1.0 - (double(wide * high) - both) / pixels;
    }
    return int64_t(std::nearbyint(sum * 4294967296.0));
}

void merge(const Regions& regions, int32_t a, int32_t b, int64_t made) {
    const int64_t width = regions.colors + regions.textures;
    const double *one = regions.histograms + a * width, *other = regions.histograms + b * width;
    double* to = regions.histograms + made * width;
    const double left = double(regions.sizes[a]), right = double(regions.sizes[b]);
    for (int64_t k = 0; k < width; ++k) to[k] = (left * one[k] + right * other[k]) / (left + right);
    regions.sizes[made] = regions.sizes[a] + regions.sizes[b];
    const int64_t *p = regions.boxes + 4 * a, *q = regions.boxes + 4 * b;
    int64_t* box = regions.boxes + 4 * made;
    for (int k = 0; k < 2; ++k) box[k] = std::min(p[k], q[k]);
    for (int k = 2; k < 4; ++k) box[k] = std::max(p[k], q[k]);
}

struct Candidate {
    int64_t likeness;
    int32_t a, b;
    bool operator<(const Candidate& other) const {  // the top of a queue is the largest
        if (likeness != other.likeness) return likeness < other.likeness;
        return a != other.a ? a > other.a : b > other.b;
    }
};

}  // namespace

int64_t join_pixels(int64_t pixels, int64_t edges, const int32_t* one, const int32_t* other, const float* weight, float scale, int64_t least,
                    int32_t* labels) {
    Parts parts(pixels);
    std::vector<float> allowed(pixels, scale);
    for (int64_t k = 0; k < edges; ++k) {
        const int32_t a = parts.find(one[k]), b = parts.find(other[k]);
        if (a == b || weight[k] > allowed[a] || weight[k] > allowed[b]) continue;
        const int32_t root = parts.join(a, b);
        allowed[root] = weight[k] + scale / float(parts.size(root));
    }
    for (int64_t k = 0; k < edges; ++k) {
        const int32_t a = parts.find(one[k]), b = parts.find(other[k]);
        if (a != b && (parts.size(a) < least || parts.size(b) < least)) parts.join(a, b);
    }
    std::vector<int32_t> numbers(pixels, -1);
    int32_t count = 0;
    for (int64_t k = 0; k < pixels; ++k) {
        int32_t& number = numbers[parts.find(int32_t(k))];
        if (number < 0) number = count++;
        labels[k] = number;
    }
    return count;
}

int64_t merge_regions(const Regions& regions, int64_t pairs, const int32_t* pair, Likeness likeness, int32_t* merges, int64_t* likenesses) {
    const int64_t count = regions.count;
    std::vector<std::vector<int32_t>> neighbors(2 * count);
    std::vector<char> gone(2 * count, 0);
    std::vector<int64_t> seen(2 * count, -1);
    std::priority_queue<Candidate> queue;
    auto meet = [&](int32_t a, int32_t b) {
        neighbors[a].push_back(b);
        neighbors[b].push_back(a);
        queue.push({alike(regions, likeness, std::min(a, b), std::max(a, b)), std::min(a, b), std::max(a, b)});
    };
    for (int64_t k = 0; k < pairs; ++k) meet(pair[2 * k], pair[2 * k + 1]);
    int64_t done = 0;
    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        if (gone[best.a] || gone[best.b]) continue;
        const int64_t made = count + done;
        merge(regions, best.a, best.b, made);
        gone[best.a] = gone[best.b] = 1;
        merges[2 * done] = best.a;
        merges[2 * done + 1] = best.b;
        likenesses[done++] = best.likeness;
        for (const int32_t from : {best.a, best.b})
            for (const int32_t other : neighbors[from])
                if (!gone[other] && seen[other] != made) {
                    seen[other] = made;
                    meet(int32_t(made), other);
                }
    }
    return done;
}

}  // namespace pellucid
