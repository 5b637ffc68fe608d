// The Python face of the native executor: plain numbers in, addresses of arrays in, nothing of NumPy.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "allocation.hpp"
#include "chain.hpp"
#include "pooling.hpp"
#include "primitives.hpp"
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
using OperandTuple = std::tuple<At, int, Dims, bool, double>;
// (operation, to, a, b, c)
using InstructionTuple = std::tuple<int, int, int, int, int>;
// (place, type, strides, value, how to write, size, direct)
using OutputTuple = std::tuple<At, int, Dims, int, int, int64_t, bool>;

std::unique_ptr<Step> make_chain(const std::string& name, const Dims& loops, const std::vector<OperandTuple>& operands,
                                 const std::vector<InstructionTuple>& instructions, const std::vector<OutputTuple>& outputs, int registers) {
    std::vector<Operand> reads;
    for (const auto& [at, type, strides, immediate, number] : operands)
        reads.push_back({place(at), DType(type), strides, immediate, number});
    std::vector<Instruction> work;
    for (const auto& [operation, to, a, b, c] : instructions) work.push_back({Operation(operation), to, a, b, c});
    std::vector<Output> writes;
    for (const auto& [at, type, strides, value, write, size, direct] : outputs)
        writes.push_back({place(at), DType(type), strides, value, Write(write), size, direct});
    return std::make_unique<Chain>(name, loops, std::move(reads), std::move(work), std::move(writes), registers);
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
    m.def("available_threads", &available_threads, "wanted"_a, "Of so many threads those that OpenMP gives.");
    m.def("operations", [] {
        return std::vector<std::string>{
#define X(name) #name,
            PELLUCID_OPERATIONS(X)
#undef X
        };
    });
    m.def("has_bfloat16_kernels", [] { return bool(__builtin_cpu_supports("avx512bf16")); }, "Whether this processor multiplies bfloat16.");
    m.def("has_wide_kernels", &WeightGradient::available, "Whether this processor can run the kernels written for AVX-512.");
    nb::exception<StepError>(m, "StepError", PyExc_RuntimeError);

    nb::class_<Convolution>(m, "Convolution")
        .def("__init__",
             [](Convolution* self, const std::string& name, int direction, std::array<int64_t, 4> sizes, Pair in_size, Pair out_size, Pair kernel,
                Pair stride, Pair padding, Pair dilation, std::array<int, 2> layouts, std::array<int, 2> types, std::array<bool, 3> epilogue,
                float ceiling, int threads) {
                 const Threads within(threads);
                 const ConvolutionShape shape{sizes[0], sizes[1], sizes[2], sizes[3], in_size, out_size, kernel, stride, padding, dilation};
                 try {
                     new (self) Convolution(name, Direction(direction), shape, Layout(layouts[0]), Layout(layouts[1]), DType(types[0]),
                                            DType(types[1]), {epilogue[0], epilogue[1], epilogue[2], ceiling});
                 } catch (const dnnl::error& error) {
                     throw StepError(name + ": " + error.what());
                 }
             })
        .def_prop_ro("weight_bytes", &Convolution::weight_bytes)
        .def_prop_ro("scratch_bytes", &Convolution::scratch_bytes)
        .def_prop_ro("implementation", &Convolution::implementation);

    using MatrixTuple = std::tuple<Dims, Dims, int>;
    nb::class_<Product>(m, "Product")
        .def("__init__",
             [](Product* self, const std::string& name, const MatrixTuple& a, const MatrixTuple& b, const MatrixTuple& out, std::array<bool, 3> epilogue,
                float ceiling, int threads) {
                 const Threads within(threads);
                 auto matrix = [](const MatrixTuple& t) { return Product::Matrix{std::get<0>(t), std::get<1>(t), DType(std::get<2>(t))}; };
                 try {
                     new (self) Product(name, matrix(a), matrix(b), matrix(out), {epilogue[0], epilogue[1], epilogue[2], ceiling});
                 } catch (const dnnl::error& error) {
                     throw StepError(name + ": " + error.what());
                 }
             })
        .def_prop_ro("scratch_bytes", &Product::scratch_bytes)
        .def_prop_ro("implementation", &Product::implementation);

    nb::class_<Lease>(m, "Context")
        .def("set_array", [](Lease& self, int number, uintptr_t address) { self.context->bases.at(number) = reinterpret_cast<char*>(address); })
        .def_prop_ro("arena", [](Lease& self) { return reinterpret_cast<uintptr_t>(self.context->bases[0]); });

    nb::class_<Program>(m, "Program")
        .def(nb::init<int64_t, int, int>(), "arena_bytes"_a, "num_arrays"_a, "threads"_a)
        .def("__len__", &Program::size)
        .def_prop_ro("num_contexts", &Program::num_contexts)
        .def("add_chain",
             [](Program& self, const std::string& name, const Dims& loops, const std::vector<OperandTuple>& operands,
                const std::vector<InstructionTuple>& instructions, const std::vector<OutputTuple>& outputs,
                int registers) { self.add(make_chain(name, loops, operands, instructions, outputs, registers)); })
        .def("add_convolution",
             [](Program& self, const Convolution& c, At in, At weight, At out, At bias, At residual, At scratch) {
                 self.add(c.step(place(in), place(weight), place(out), place(bias), place(residual), place(scratch)));
             })
        .def("add_weight_reorder",
             [](Program& self, const std::string& name, const Convolution& c, At from, At to) {
                 const Threads within(self.threads());
                 self.add(c.reorder(name, place(from), place(to)));
             })
        .def("add_product",
             [](Program& self, const Product& p, At a, At b, At out, At bias, At residual, At scratch) {
                 self.add(p.step(place(a), place(b), place(out), place(bias), place(residual), place(scratch)));
             })
        .def("add_vector_product",
             [](Program& self, const std::string& name, int64_t outputs, int64_t inputs, At weight, At x, At y, At bias, bool with_bias, bool relu) {
                 self.add(std::make_unique<VectorProduct>(name, outputs, inputs, place(weight), place(x), place(y), place(bias), with_bias, relu));
             })
        .def("add_weight_gradient",
             [](Program& self, const std::string& name, std::array<int64_t, 4> channels, Pair in_size, Pair out_size, Pair kernel, Pair stride,
                Pair padding, Pair dilation, int type, At x, At y, At weight) {
                 const WeightGradientShape shape{channels[0], channels[1], channels[2], channels[3], in_size[0], in_size[1], out_size[0], out_size[1],
                                                 {kernel[0], kernel[1]}, {stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}};
                 self.add(std::make_unique<WeightGradient>(name, shape, DType(type), place(x), place(y), place(weight)));
             })
        .def("add_winograd_weight",
             [](Program& self, const std::string& name, int type, int taps, int64_t out_channels, int64_t in_channels, bool for_input_gradient, At weight, At to) {
                 self.add(std::make_unique<WinogradWeight>(name, DType(type), taps, out_channels, in_channels, for_input_gradient, place(weight), place(to)));
             })
        .def("add_winograd",
             [](Program& self, const std::string& name, int type, int taps, std::array<int64_t, 3> sizes, Pair in_size, Pair out_size, Pair padding, At x,
                At weight, At y, At bias, At residual, std::array<bool, 3> epilogue) {
                 self.add(std::make_unique<WinogradConvolution>(
                     name, DType(type), taps, winograd_shape(sizes, in_size, out_size, padding),
                     WinogradConvolution::Places{place(x), place(weight), place(y), place(bias), place(residual)},
                     WinogradConvolution::Epilogue{epilogue[0], epilogue[1], epilogue[2]}));
             })
        .def("add_winograd_weight_gradient",
             [](Program& self, const std::string& name, int type, int taps, std::array<int64_t, 3> sizes, Pair in_size, Pair out_size, Pair padding, At x, At y,
                At weight) {
                 self.add(std::make_unique<WinogradWeightGradient>(name, DType(type), taps, winograd_shape(sizes, in_size, out_size, padding), place(x), place(y),
                                                                   place(weight)));
             })
        .def("add_pool",
             [](Program& self, const std::string& name, int kind, std::array<int64_t, 6> sizes, Pair kernel, Pair stride, Pair padding,
                bool count_padding, int type, At from, At to, At winners, bool with_winners) {
                 const PoolShape shape{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], {kernel[0], kernel[1]},
                                       {stride[0], stride[1]}, {padding[0], padding[1]}, count_padding};
                 self.add(std::make_unique<Pool>(name, Pooling(kind), shape, DType(type), place(from), place(to), place(winners), with_winners));
             })
        .def("acquire", [](Program& self) { return Lease{self.acquire()}; }, nb::keep_alive<0, 1>())
        .def("release", [](Program& self, Lease& lease) { self.release(lease.context); })
        .def("run",
             [](Program& self, Lease& lease, int first, int last, bool keeps_nan) {
                 return self.run(*lease.context, first, last, nullptr, keeps_nan);
             },
             "context"_a, "first"_a, "last"_a, "keeps_nan"_a = false, nb::call_guard<nb::gil_scoped_release, BlocksKept>())
        .def("run_watched", [](Program& self, Lease& lease, int first, int last) { return self.run_watched(*lease.context, first, last); },
             nb::call_guard<nb::gil_scoped_release, BlocksKept>())
        .def("profile", [](Program& self, Lease& lease, int first, int last) {
            std::vector<double> seconds(self.size(), 0.0);
            self.run(*lease.context, first, last, seconds.data());
            return seconds;
        }, nb::call_guard<nb::gil_scoped_release>());
}
