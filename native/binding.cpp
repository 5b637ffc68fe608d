// The Python face of the native executor: plain numbers in, addresses of arrays in, nothing of NumPy.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "allocation.hpp"
#include "chain.hpp"
#include "crops.hpp"
#include "histograms.hpp"
#include "picking.hpp"
#include "pooling.hpp"
#include "primitives.hpp"
#include "regions.hpp"
#include "vector_product.hpp"
#include "weight_gradient.hpp"
#include "winograd.hpp"

namespace nb = nanobind;
using namespace pellucid;
using namespace nb::literals;

namespace {

using At = std::tuple<int, int64_t>;

Place place(At at) { return {std::get<0>(at), std::get<1>(at)}; }

// (place, type, strides, is a number, number)
using OperandTuple = std::tuple<At, DType, Dims, bool, double>;
// (operation, to, a, b, c)
using InstructionTuple = std::tuple<Operation, int, int, int, int>;
// (place, type, strides, value, how to write, size, direct)
using OutputTuple = std::tuple<At, DType, Dims, int, Write, int64_t, bool>;

// `make()`, a step or what makes one; what goes wrong becomes a StepError that names it.
template <class Make>
auto named(const std::string& name, Make make) {
    try {
        return make();
    } catch (const StepError&) {
        throw;
    } catch (const std::exception& error) {
        throw StepError(name + ": " + error.what());
    }
}

template <class T, class... Arguments>
void add(Program& program, const std::string& name, Arguments&&... arguments) {
    program.add(named(name, [&] { return std::make_unique<T>(name, std::forward<Arguments>(arguments)...); }));
}

void add_chain(Program& program, const std::string& name, const Dims& loops, const std::vector<OperandTuple>& operands,
               const std::vector<InstructionTuple>& instructions, const std::vector<OutputTuple>& outputs, int registers) {
    std::vector<Operand> reads;
    for (const auto& [at, type, strides, immediate, number] : operands) reads.push_back({place(at), type, strides, immediate, number});
    std::vector<Instruction> work;
    for (const auto& [operation, to, a, b, c] : instructions) work.push_back({operation, to, a, b, c});
    std::vector<Output> writes;
    for (const auto& [at, type, strides, value, write, size, direct] : outputs) writes.push_back({place(at), type, strides, value, write, size, direct});
    add<Chain>(program, name, loops, std::move(reads), std::move(work), std::move(writes), registers);
}

WinogradShape winograd_shape(std::array<int64_t, 3> sizes, Pair in_size, Pair out_size, Pair padding) {
    return {sizes[0], sizes[1], sizes[2], in_size[0], in_size[1], out_size[0], out_size[1], {padding[0], padding[1]}};
}

struct Lease {
    Context* context;
};

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Programs compiled for this processor.";
    m.def("onednn_version", [] {
        const auto* v = dnnl_version();
        return std::make_tuple(v->major, v->minor, v->patch);
    });
    m.def("isa", [] { return std::string(kernels().isa); }, "Instruction set of the kernels in use: v2, v3 or v4 of x86-64.");
    m.def("onednn_isa", &onednn_isa, "Instruction set that oneDNN uses.");
    m.def("available_threads", &available_threads, "wanted"_a, "Of so many threads those that OpenMP's settings allow.");
    m.def("has_bfloat16_kernels", [] { return bool(__builtin_cpu_supports("avx512bf16")); }, "Whether this processor multiplies bfloat16.");
    m.def("has_wide_kernels", &WeightGradient::available, "Whether this processor can run the kernels written for AVX-512.");
    m.def("size_of", &size_of, "type"_a, "Bytes of an element.");
    m.def("winograd_taps", &winograd_taps, "type"_a, "gradient"_a,
          "Sizes of filters that Winograd's convolution, or its weight's gradient, has kernels for on this processor.");
    m.def("winograd_weight_bytes", &winograd_weight_bytes, "type"_a, "taps"_a, "out_channels"_a, "in_channels"_a, "Bytes of a transformed weight.");
    m.def("join_pixels",
          [](int64_t pixels, int64_t edges, uintptr_t one, uintptr_t other, uintptr_t weight, float scale, int64_t least, uintptr_t labels) {
              return join_pixels(pixels, edges, reinterpret_cast<const int32_t*>(one), reinterpret_cast<const int32_t*>(other),
                                 reinterpret_cast<const float*>(weight), scale, least, reinterpret_cast<int32_t*>(labels));
          },
          "pixels"_a, "edges"_a, "one"_a, "other"_a, "weight"_a, "scale"_a, "least"_a, "labels"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Labels of pixels joined along edges sorted by weight; how many there are.");
    m.def("merge_regions",
          [](std::array<int64_t, 4> counts, uintptr_t histograms, uintptr_t sizes, uintptr_t boxes, int64_t pairs, uintptr_t pair,
             std::array<bool, 4> likeness, uintptr_t merges, uintptr_t likenesses) {
              const Regions regions{counts[0], counts[1], counts[2], counts[3], reinterpret_cast<double*>(histograms),
                                    reinterpret_cast<int64_t*>(sizes), reinterpret_cast<int64_t*>(boxes)};
              return merge_regions(regions, pairs, reinterpret_cast<const int32_t*>(pair), {likeness[0], likeness[1], likeness[2], likeness[3]},
                                   reinterpret_cast<int32_t*>(merges), reinterpret_cast<int64_t*>(likenesses));
          },
          "counts"_a, "histograms"_a, "sizes"_a, "boxes"_a, "pairs"_a, "pair"_a, "likeness"_a, "merges"_a, "likenesses"_a,
          nb::call_guard<nb::gil_scoped_release>(), "Regions, colors, textures, pixels: merges the most alike neighbours until one region is left; how many merges.");
    m.def("gradient_histograms",
          [](std::array<int64_t, 5> sizes, uintptr_t pixels, uintptr_t out) {
              const Cells cells{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
              gradient_histograms(cells, reinterpret_cast<const double*>(pixels), reinterpret_cast<float*>(out));
          },
          "sizes"_a, "pixels"_a, "out"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Height, width, rows, columns, cell: a picture's cells of 32 numbers.");
    m.def("bounded_transform",
          [](std::array<int64_t, 4> sizes, uintptr_t values, uintptr_t prices, uintptr_t out) {
              const Responses maps{sizes[0], sizes[1], sizes[2], sizes[3]};
              bounded_transform(maps, reinterpret_cast<const float*>(values), reinterpret_cast<const float*>(prices), reinterpret_cast<float*>(out));
          },
          "sizes"_a, "values"_a, "prices"_a, "out"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Maps, rows, columns, reach: for every place the best value near it less what going there costs.");
    m.def("cut_squares",
          [](std::array<int64_t, 4> sizes, uintptr_t picture, uintptr_t crops, uintptr_t affine, uintptr_t out) {
              const Squares squares{sizes[0], sizes[1], sizes[2], sizes[3]};
              cut_squares(squares, reinterpret_cast<const uint8_t*>(picture), reinterpret_cast<const int64_t*>(crops),
                          reinterpret_cast<const float*>(affine), reinterpret_cast<float*>(out));
          },
          "sizes"_a, "picture"_a, "crops"_a, "affine"_a, "out"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Regions, height, width, side: parts of a picture, each warped to a square and normalized.");
    nb::exception<StepError>(m, "StepError", PyExc_RuntimeError);
    m.attr("ALIGNMENT") = ALIGNMENT;
    m.attr("BLOCK") = BLOCK;
    m.attr("MOST_POSITIONS") = PoolShape::MOST_POSITIONS;

    nb::enum_<DType>(m, "DType").value("f32", DType::f32).value("bf16", DType::bf16).value("i64", DType::i64).value("u8", DType::u8);
    nb::enum_<Layout>(m, "Layout").value("plain", Layout::plain).value("channels_last", Layout::channels_last).value("blocked", Layout::blocked);
    nb::enum_<Direction>(m, "Direction")
        .value("forward", Direction::forward)
        .value("backward_data", Direction::backward_data)
        .value("backward_weights", Direction::backward_weights);
    nb::enum_<Pooling>(m, "Pooling")
        .value("max", Pooling::max)
        .value("max_gradient", Pooling::max_gradient)
        .value("average", Pooling::average)
        .value("average_gradient", Pooling::average_gradient);
    nb::enum_<Picking>(m, "Picking")
        .value("blend", Picking::blend)
        .value("spread", Picking::spread)
        .value("likeness", Picking::likeness)
        .value("region_average", Picking::region_average)
        .value("region_spread", Picking::region_spread)
        .value("region_winners", Picking::region_winners)
        .value("taken", Picking::taken)
        .value("given", Picking::given)
        .value("ranks", Picking::ranks)
        .value("suppression", Picking::suppression);
    nb::enum_<Write>(m, "Write").value("store", Write::store).value("sum", Write::sum).value("max", Write::max);
    nb::enum_<Operation>(m, "Operation")
#define X(name) .value(#name, Operation::name)
        PELLUCID_OPERATIONS(X)
#undef X
        ;

    nb::class_<Convolution>(m, "Convolution")
        .def("__init__",
             [](Convolution* self, const std::string& name, Direction direction, std::array<int64_t, 4> sizes, Pair in_size, Pair out_size, Pair kernel,
                Pair stride, Pair padding, Pair dilation, std::array<Layout, 2> layouts, std::array<DType, 2> types, std::array<bool, 3> epilogue,
                float ceiling, int threads) {
                 const Threads within(threads);
                 const ConvolutionShape shape{sizes[0], sizes[1], sizes[2], sizes[3], in_size, out_size, kernel, stride, padding, dilation};
                 named(name, [&] {
                     return new (self) Convolution(name, direction, shape, layouts[0], layouts[1], types[0], types[1],
                                                   {epilogue[0], epilogue[1], epilogue[2], ceiling});
                 });
             },
             "name"_a, "direction"_a, "sizes"_a, "in_size"_a, "out_size"_a, "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "layouts"_a, "types"_a,
             "epilogue"_a, "ceiling"_a, "threads"_a)
        .def_prop_ro("weight_bytes", &Convolution::weight_bytes)
        .def_prop_ro("scratch_bytes", &Convolution::scratch_bytes)
        .def_prop_ro("implementation", &Convolution::implementation);

    using MatrixTuple = std::tuple<Dims, Dims, DType>;
    nb::class_<Product>(m, "Product")
        .def("__init__",
             [](Product* self, const std::string& name, const MatrixTuple& a, const MatrixTuple& b, const MatrixTuple& out, std::array<bool, 3> epilogue,
                float ceiling, int threads) {
                 const Threads within(threads);
                 auto matrix = [](const MatrixTuple& t) { return Product::Matrix{std::get<0>(t), std::get<1>(t), std::get<2>(t)}; };
                 named(name, [&] {
                     return new (self) Product(name, matrix(a), matrix(b), matrix(out), {epilogue[0], epilogue[1], epilogue[2], ceiling});
                 });
             },
             "name"_a, "a"_a, "b"_a, "out"_a, "epilogue"_a, "ceiling"_a, "threads"_a)
        .def_prop_ro("scratch_bytes", &Product::scratch_bytes)
        .def_prop_ro("implementation", &Product::implementation);

    nb::class_<Lease>(m, "Context")
        .def("set_array",
             [](Lease& self, int number, uintptr_t address) {
                 const int arrays = int(self.context->bases.size()) - 1;
                 if (number < 0 || number >= arrays)
                     throw nb::index_error(("there is no array " + std::to_string(number) + ", but " + std::to_string(arrays)).c_str());
                 self.context->bases[1 + number] = reinterpret_cast<char*>(address);
             },
             "number"_a, "address"_a)
        .def_prop_ro("arena", [](Lease& self) { return reinterpret_cast<uintptr_t>(self.context->bases[0]); });

    nb::class_<Program>(m, "Program")
        .def(nb::init<int64_t, std::vector<int64_t>, int>(), "arena_bytes"_a, "array_bytes"_a, "threads"_a)
        .def("__len__", &Program::size)
        .def_prop_ro("num_contexts", &Program::num_contexts)
        .def("add_chain", &add_chain, "name"_a, "loops"_a, "operands"_a, "instructions"_a, "outputs"_a, "registers"_a)
        .def("add_convolution",
             [](Program& self, const Convolution& made, At x, At weight, At y, At bias, At residual, At scratch) {
                 self.add(made.step(place(x), place(weight), place(y), place(bias), place(residual), place(scratch)));
             },
             "made"_a, "x"_a, "weight"_a, "y"_a, "bias"_a, "residual"_a, "scratch"_a)
        .def("add_weight_reorder",
             [](Program& self, const std::string& name, const Convolution& made, At source, At to) {
                 const Threads within(self.threads());
                 self.add(named(name, [&] { return made.reorder(name, place(source), place(to)); }));
             },
             "name"_a, "made"_a, "source"_a, "to"_a)
        .def("add_product",
             [](Program& self, const Product& made, At a, At b, At out, At bias, At residual, At scratch) {
                 self.add(made.step(place(a), place(b), place(out), place(bias), place(residual), place(scratch)));
             },
             "made"_a, "a"_a, "b"_a, "out"_a, "bias"_a, "residual"_a, "scratch"_a)
        .def("add_vector_product",
             [](Program& self, const std::string& name, int64_t outputs, int64_t inputs, At weight, At x, At y, At bias, bool with_bias, bool relu) {
                 add<VectorProduct>(self, name, outputs, inputs, place(weight), place(x), place(y), place(bias), with_bias, relu);
             },
             "name"_a, "outputs"_a, "inputs"_a, "weight"_a, "x"_a, "y"_a, "bias"_a, "with_bias"_a, "relu"_a)
        .def("add_weight_gradient",
             [](Program& self, const std::string& name, std::array<int64_t, 4> channels, Pair in_size, Pair out_size, Pair kernel, Pair stride,
                Pair padding, Pair dilation, At x, At y, At weight) {
                 const WeightGradientShape shape{channels[0], channels[1], channels[2], channels[3], in_size[0], in_size[1], out_size[0], out_size[1],
                                                 {kernel[0], kernel[1]}, {stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}};
                 add<WeightGradient>(self, name, shape, place(x), place(y), place(weight));
             },
             "name"_a, "channels"_a, "in_size"_a, "out_size"_a, "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "x"_a, "y"_a, "weight"_a)
        .def("add_depthwise_gradient",
             [](Program& self, const std::string& name, std::array<int64_t, 2> sizes, Pair in_size, Pair out_size, Pair kernel, Pair stride,
                Pair padding, Pair dilation, std::array<bool, 2> channels_last, At x, At y, At weight) {
                 const DepthwiseShape shape{sizes[0], sizes[1], in_size[0], in_size[1], out_size[0], out_size[1], {kernel[0], kernel[1]},
                                            {stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]},
                                            {channels_last[0], channels_last[1]}};
                 if (!DepthwiseGradient::has(kernel[1])) throw StepError(name + ": no kernel for filters of this width");
                 add<DepthwiseGradient>(self, name, shape, place(x), place(y), place(weight));
             },
             "name"_a, "sizes"_a, "in_size"_a, "out_size"_a, "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "channels_last"_a, "x"_a, "y"_a,
             "weight"_a)
        .def("add_winograd_weight",
             [](Program& self, const std::string& name, DType type, int taps, int64_t out_channels, int64_t in_channels, bool for_input_gradient, At weight,
                At to) { add<WinogradWeight>(self, name, type, taps, out_channels, in_channels, for_input_gradient, place(weight), place(to)); },
             "name"_a, "type"_a, "taps"_a, "out_channels"_a, "in_channels"_a, "for_input_gradient"_a, "weight"_a, "to"_a)
        .def("add_winograd",
             [](Program& self, const std::string& name, DType type, int taps, std::array<int64_t, 3> sizes, Pair in_size, Pair out_size, Pair padding, At x,
                At weight, At y, At bias, At residual, std::array<bool, 3> epilogue) {
                 add<WinogradConvolution>(self, name, type, taps, winograd_shape(sizes, in_size, out_size, padding),
                                          WinogradConvolution::Places{place(x), place(weight), place(y), place(bias), place(residual)},
                                          WinogradConvolution::Epilogue{epilogue[0], epilogue[1], epilogue[2]});
             },
             "name"_a, "type"_a, "taps"_a, "sizes"_a, "in_size"_a, "out_size"_a, "padding"_a, "x"_a, "weight"_a, "y"_a, "bias"_a, "residual"_a, "epilogue"_a)
        .def("add_winograd_weight_gradient",
             [](Program& self, const std::string& name, DType type, int taps, std::array<int64_t, 3> sizes, Pair in_size, Pair out_size, Pair padding, At x,
                At y, At weight) {
                 add<WinogradWeightGradient>(self, name, type, taps, winograd_shape(sizes, in_size, out_size, padding), place(x), place(y), place(weight));
             },
             "name"_a, "type"_a, "taps"_a, "sizes"_a, "in_size"_a, "out_size"_a, "padding"_a, "x"_a, "y"_a, "weight"_a)
        .def("add_pool",
             [](Program& self, const std::string& name, Pooling kind, std::array<int64_t, 6> sizes, Pair kernel, Pair stride, Pair padding,
                bool count_padding, DType type, At source, At to, At winners, bool with_winners) {
                 const PoolShape shape{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], {kernel[0], kernel[1]},
                                       {stride[0], stride[1]}, {padding[0], padding[1]}, count_padding};
                 add<Pool>(self, name, kind, shape, type, place(source), place(to), place(winners), with_winners);
             },
             "name"_a, "kind"_a, "sizes"_a, "kernel"_a, "stride"_a, "padding"_a, "count_padding"_a, "type"_a, "source"_a, "to"_a, "winners"_a,
             "with_winners"_a)
        .def("add_picking",
             [](Program& self, const std::string& name, Picking kind, std::vector<int64_t> sizes, std::vector<double> numbers, At a, At b, At c, At to) {
                 add<Pick>(self, name, kind, std::move(sizes), std::move(numbers), place(a), place(b), place(c), place(to));
             },
             "name"_a, "kind"_a, "sizes"_a, "numbers"_a, "a"_a, "b"_a, "c"_a, "to"_a)
        .def("acquire", [](Program& self) { return Lease{self.acquire()}; }, nb::keep_alive<0, 1>())
        .def("release", [](Program& self, Lease& lease) { self.release(lease.context); }, "context"_a)
        .def("run",
             [](Program& self, Lease& lease, int first, int last, bool keeps_nan) {
                 return self.run(*lease.context, first, last, nullptr, keeps_nan);
             },
             "context"_a, "first"_a, "last"_a, "keeps_nan"_a = false, nb::call_guard<nb::gil_scoped_release, BlocksKept>())
        .def("run_watched", [](Program& self, Lease& lease, int first, int last) { return self.run_watched(*lease.context, first, last); },
             "context"_a, "first"_a, "last"_a, nb::call_guard<nb::gil_scoped_release, BlocksKept>())
        .def("profile", [](Program& self, Lease& lease, int first, int last) {
            std::vector<double> seconds(self.size(), 0.0);
            self.run(*lease.context, first, last, seconds.data());
            return seconds;
        }, "context"_a, "first"_a, "last"_a, nb::call_guard<nb::gil_scoped_release>());
}
