#include "primitives.hpp"

#include <cmath>
#include <cstring>

#include "openmp.hpp"
#include "rectified.hpp"

namespace pellucid {
namespace {

using dnnl::memory;
using dnnl::prop_kind;

dnnl::engine& engine() {
    static dnnl::engine cpu = [] {
        // oneDNN's cache takes descriptions for equal that differ in the strides of an axis of one element, and then gives the
        // kernel that was found for the first one asked about: a generic one, where the other has one made for it.
        dnnl::set_primitive_cache_capacity(0);
        return dnnl::engine(dnnl::engine::kind::cpu, 0);
    }();
    return cpu;
}

memory::data_type type_of(DType type) {
    return type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::format_tag tag_of(Layout layout) {
    switch (layout) {
        case Layout::channels_last: return memory::format_tag::nhwc;
        case Layout::blocked: return memory::format_tag::nChw16c;
        case Layout::plain: break;
    }
    return memory::format_tag::nchw;
}

dnnl::primitive_attr attributes(const Epilogue& epilogue, const memory::desc& out) {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops after;
    if (epilogue.residual) after.append_binary(dnnl::algorithm::binary_add, out);
    if (epilogue.relu && std::isinf(epilogue.ceiling)) after.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
    else if (epilogue.relu) after.append_eltwise(dnnl::algorithm::eltwise_clip, 0.0f, epilogue.ceiling);
    attr.set_post_ops(after);
    return attr;
}

bool starts_with(const std::string& text, const char* start) { return !text.compare(0, std::strlen(start), start); }

Epilogue without_relu(Epilogue epilogue) {
    epilogue.relu = false;
    return epilogue;
}

// `describe(attributes)` gives the primitive's description; the order that the first wants a weight in holds for the second.
template <class Primitive, class Describe>
Made make(const Epilogue& epilogue, const memory::desc& out, Describe describe) {
    Made made;
    made.threads = region_threads();
    const auto whole = describe(attributes(epilogue, out));
    made.whole = Primitive(whole);
    made.scratch = whole.scratchpad_desc();
    made.implementation = whole.impl_info_str();
    if (!epilogue.relu) return made;
    const auto unrectified = describe(attributes(without_relu(epilogue), out));
    made.unrectified = Primitive(unrectified);
    made.unrectified_scratch = unrectified.scratchpad_desc();
    return made;
}

// Whether oneDNN's strided kernel for the gradient of a 1x1 weight writes beside its working memory, and threads into each other's: with
// channels last, and fewer of them than it takes at once (uxlfoundation/oneDNN issue 6035).
bool writes_beside(const std::string& implementation, const ConvolutionShape& s, Layout in) {
    const bool strided = s.stride[0] > 1 || s.stride[1] > 1;
    const int64_t at_once = implementation.find("avx512") != std::string::npos ? 16 : 8;
    return starts_with(implementation, "jit_1x1") && strided && in == Layout::channels_last && s.in_channels / s.groups < at_once;
}

constexpr int RESIDUAL = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

class Memories : public State {
public:
    Memories(const std::vector<Primitive::Argument>& arguments) : stream(engine()) {
        for (const auto& argument : arguments) {
            memories.emplace_back(argument.description, engine(), static_cast<void*>(DNNL_MEMORY_NONE));
            list.push_back({argument.number, memories.back().get()});
        }
    }

    dnnl::stream stream;
    std::vector<memory> memories;
    std::vector<dnnl_exec_arg_t> list;
};

// What a description spans: from its first element to its last where they lie under strides, else all that oneDNN asks for.
Access access_to(const Primitive::Argument& argument) {
    const auto& d = argument.description;
    if (d.is_zero() || !d.get_size()) return {argument.what, argument.place, 0, 1};
    const int64_t element = int64_t(memory::data_type_size(d.get_data_type()));
    if (d.get_format_kind() != memory::format_kind::blocked || d.get_inner_nblks()) return {argument.what, argument.place, int64_t(d.get_size()), element};
    int64_t last = 0;
    const auto dims = d.get_dims(), strides = d.get_strides();
    for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
    return {argument.what, argument.place, (last + 1) * element, element};
}

}  // namespace

std::string onednn_isa() {
    switch (dnnl_get_effective_cpu_isa()) {
        case dnnl_cpu_isa_sse41: return "sse41";
        case dnnl_cpu_isa_avx: return "avx";
        case dnnl_cpu_isa_avx2: return "avx2";
        case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
        case dnnl_cpu_isa_avx2_vnni_2: return "avx2_vnni_2";
        case dnnl_cpu_isa_avx512_core: return "avx512_core";
        case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
        case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
        case dnnl_cpu_isa_avx512_core_fp16: return "avx512_core_fp16";
        case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
        case dnnl_cpu_isa_avx512_core_amx_fp16: return "avx512_core_amx_fp16";
        default: return "other instructions";
    }
}

std::vector<Access> Primitive::accesses() const {
    std::vector<Access> found;
    for (const auto& argument : arguments_) found.push_back(access_to(argument));
    return found;
}

std::unique_ptr<State> Primitive::make_state() const { return std::make_unique<Memories>(arguments_); }

void Primitive::run(Context& context, State* state) const {
    const Shares within(bound_);
    auto& memories = *static_cast<Memories*>(state);
    for (size_t i = 0; i < arguments_.size(); ++i)
        dnnl::error::wrap_c_api(dnnl_memory_set_data_handle(memories.memories[i].get(), context.at<void>(arguments_[i].place)),
                                "could not place an argument");
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), memories.stream.get(), int(memories.list.size()), memories.list.data()),
                            "could not run a primitive");
}

std::unique_ptr<Step> Made::step(const std::string& name, std::vector<Primitive::Argument> arguments, const Primitive::Argument& out,
                                 const Epilogue& epilogue, Place place) const {
    auto with = [&](const memory::desc& scratchpad) {
        auto list = arguments;
        list.push_back({"working memory", DNNL_ARG_SCRATCHPAD, scratchpad, place});
        return list;
    };
    auto step = std::make_unique<Primitive>(name, whole, with(scratch), bound);
    if (!epilogue.relu) return step;
    const DType type = out.description.get_data_type() == memory::data_type::bf16 ? DType::bf16 : DType::f32;
    const int64_t size = int64_t(out.description.get_size()) / size_of(type);
    return std::make_unique<Rectified>(std::move(step), std::make_unique<Primitive>(name, unrectified, with(unrectified_scratch), bound),
                                       Rectified::Output{out.place, type, size}, epilogue.ceiling, threads);
}

Convolution::Convolution(std::string name, Direction direction, const ConvolutionShape& s, Layout in_layout, Layout out_layout,
                         DType in_type, DType out_type, Epilogue epilogue)
    : name_(std::move(name)), direction_(direction), epilogue_(epilogue) {
    Dims weight{s.out_channels, s.in_channels / s.groups, s.kernel[0], s.kernel[1]};
    auto order = memory::format_tag::oihw;
    if (s.groups > 1) {
        weight.insert(weight.begin(), s.groups);
        weight[1] /= s.groups;
        order = memory::format_tag::goihw;
    }
    Dims stride, dilation, before, after;
    for (int d = 0; d < 2; ++d) {
        stride.push_back(s.stride[d]);
        dilation.push_back(s.dilation[d] - 1);
        before.push_back(s.padding[d]);
        after.push_back((s.out_size[d] - 1) * s.stride[d] + (s.kernel[d] - 1) * s.dilation[d] + 1 - s.in_size[d] - s.padding[d]);
    }
    const auto any = memory::format_tag::any;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const bool gradient = direction == Direction::backward_weights;
    in_ = {{s.batch, s.in_channels, s.in_size[0], s.in_size[1]}, type_of(in_type), tag_of(in_layout)};
    out_ = {{s.batch, s.out_channels, s.out_size[0], s.out_size[1]}, type_of(out_type), tag_of(out_layout)};
    const auto inner = direction == Direction::backward_data ? type_of(out_type) : type_of(in_type);
    weight_ = {weight, gradient ? memory::data_type::f32 : inner, any};
    plain_weight_ = {weight, memory::data_type::f32, order};
    bias_ = {{s.out_channels}, memory::data_type::f32, memory::format_tag::a};
    // The gradients of a convolution want to know the forward one; it takes no part in the computation.
    const memory::desc hint_weight(weight, inner, any);
    const memory::desc hint_in(in_.get_dims(), inner, tag_of(in_layout)), hint_out(out_.get_dims(), inner, tag_of(out_layout));
    using Forward = dnnl::convolution_forward;
    using BackwardData = dnnl::convolution_backward_data;
    using BackwardWeights = dnnl::convolution_backward_weights;
    const memory::desc bias = epilogue.bias ? bias_ : memory::desc();
    auto hint = [&] {
        return Forward::primitive_desc(engine(), prop_kind::forward_training, algorithm, hint_in, hint_weight, memory::desc(), hint_out, stride,
                                       dilation, before, after);
    };
    if (direction == Direction::forward) {
        made_ = make<Forward>(epilogue, out_, [&](const dnnl::primitive_attr& attr) {
            const Forward::primitive_desc pd(engine(), prop_kind::forward_training, algorithm, in_, weight_, bias, out_, stride, dilation, before,
                                             after, attr);
            weight_ = pd.weights_desc();
            return pd;
        });
    } else if (direction == Direction::backward_data) {
        made_ = make<BackwardData>(epilogue, out_, [&](const dnnl::primitive_attr& attr) {
            const BackwardData::primitive_desc pd(engine(), algorithm, in_, weight_, out_, stride, dilation, before, after, hint(), attr);
            weight_ = pd.weights_desc();
            return pd;
        });
    } else {
        made_ = make<BackwardWeights>(epilogue, out_, [&](const dnnl::primitive_attr& attr) {
            const auto forward = hint();  // which the next implementation asks as well
            BackwardWeights::primitive_desc pd(engine(), algorithm, in_, weight_, bias, out_, stride, dilation, before, after, forward, attr);
            while (writes_beside(pd.impl_info_str(), s, in_layout))
                if (!pd.next_impl()) throw std::invalid_argument("oneDNN has no kernel that stays within its memory");
            weight_ = pd.diff_weights_desc();
            return pd;
        });
    }
    same_order_ = weight_ == plain_weight_;
    made_.bound = gradient || !(starts_with(made_.implementation, "jit") || starts_with(made_.implementation, "brg"));
}

std::unique_ptr<Step> Convolution::reorder(const std::string& name, Place from, Place to) const {
    const bool gradient = direction_ == Direction::backward_weights;
    const auto& source = gradient ? weight_ : plain_weight_;
    const auto& target = gradient ? plain_weight_ : weight_;
    const dnnl::reorder::primitive_desc pd(engine(), source, engine(), target);
    return std::make_unique<Primitive>(name, dnnl::reorder(pd),
                                       std::vector<Primitive::Argument>{{"weight", DNNL_ARG_FROM, source, from}, {"ordered weight", DNNL_ARG_TO, target, to}}, false);
}

std::unique_ptr<Step> Convolution::step(Place in, Place weight, Place out, Place bias, Place residual, Place scratch) const {
    const bool forward = direction_ == Direction::forward, data = direction_ == Direction::backward_data;
    const Primitive::Argument result{"image (y)", forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, out_, out};
    std::vector<Primitive::Argument> list{
        {"image (x)", data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, in_, in},
        {"weight", forward || data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, weight_, weight},
        result,
    };
    if (epilogue_.bias) list.push_back({"bias", forward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS, bias_, bias});
    if (epilogue_.residual) list.push_back({"residual", RESIDUAL, out_, residual});
    return made_.step(name_, std::move(list), result, epilogue_, scratch);
}

Product::Product(std::string name, const Matrix& a, const Matrix& b, const Matrix& out, Epilogue epilogue)
    : name_(std::move(name)), epilogue_(epilogue) {
    a_ = {a.shape, type_of(a.type), a.strides};
    b_ = {b.shape, type_of(b.type), b.strides};
    out_ = {out.shape, type_of(out.type), out.strides};
    if (epilogue.bias) {
        Dims row(out.shape.size(), 1), strides(out.shape.size(), out.shape.back());
        row.back() = out.shape.back();
        strides.back() = 1;
        bias_ = {row, memory::data_type::f32, strides};
    }
    made_ = make<dnnl::matmul>(epilogue, out_, [&](const dnnl::primitive_attr& attr) {
        return dnnl::matmul::primitive_desc(engine(), a_, b_, bias_, out_, attr);
    });
    made_.bound = !starts_with(made_.implementation, "brg");
}

std::unique_ptr<Step> Product::step(Place a, Place b, Place out, Place bias, Place residual, Place scratch) const {
    const Primitive::Argument result{"result", DNNL_ARG_DST, out_, out};
    std::vector<Primitive::Argument> list{{"left matrix", DNNL_ARG_SRC, a_, a}, {"right matrix", DNNL_ARG_WEIGHTS, b_, b}, result};
    if (epilogue_.bias) list.push_back({"bias", DNNL_ARG_BIAS, bias_, bias});
    if (epilogue_.residual) list.push_back({"residual", RESIDUAL, out_, residual});
    return made_.step(name_, std::move(list), result, epilogue_, scratch);
}

}  // namespace pellucid
