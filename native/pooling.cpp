#include "pooling.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace pellucid {

constexpr int64_t WORTH_A_THREAD = 16384;  // elements below which another thread costs more than it saves

std::vector<Access> Pool::accesses() const {
    const auto& s = shape_;
    const std::initializer_list<int64_t> image{s.outer, s.height, s.width, s.inner}, pooled{s.outer, s.out_height, s.out_width, s.inner};
    const bool forward = kind_ == Pooling::max || kind_ == Pooling::average;
    std::vector<Access> found{access("image", forward ? from_ : to_, type_, image), access("pooled image", forward ? to_ : from_, type_, pooled)};
    if (with_winners_) found.push_back(access("winners", winners_, DType::u8, pooled));
    return found;
}

void Pool::run(Context& context, State*) const {
    const void* from = context.at<const void>(from_);
    void* to = context.at<void>(to_);
    uint8_t* winners = with_winners_ ? context.at<uint8_t>(winners_) : nullptr;
    const auto& k = kernels();
    const int64_t elements = shape_.outer * shape_.height * shape_.width * shape_.inner;
    const int workers = int(std::max<int64_t>(1, std::min(std::min<int64_t>(context.threads, shape_.outer), elements / WORTH_A_THREAD)));
    in_parallel(workers, [&](int64_t number) {
        const int64_t first = shape_.outer * number / workers, last = shape_.outer * (number + 1) / workers;
        switch (kind_) {
            case Pooling::max: k.max_pool(shape_, type_, from, to, winners, first, last); break;
            case Pooling::max_gradient: k.max_unpool(shape_, type_, from, winners, to, first, last); break;
            case Pooling::average: k.average_pool(shape_, type_, from, to, first, last); break;
            case Pooling::average_gradient: k.average_unpool(shape_, type_, from, to, first, last); break;
        }
    });
}

}  // namespace pellucid
