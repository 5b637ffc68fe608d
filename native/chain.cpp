#include "chain.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "parallel.hpp"

namespace pellucid {
namespace {

constexpr int64_t TILE = 1024;             // elements; a handful of float tiles fit the first-level cache
constexpr int64_t SLOT = TILE * 8;         // bytes of a register: int64 is the widest element
constexpr int64_t WORTH_A_THREAD = 16384;  // elements below which another thread costs more than it saves
constexpr int MAX_VALUES = 64, MAX_LOOPS = 16;

int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Wraps around as NumPy does.
void add_to(int64_t& sum, int64_t number) { sum = int64_t(uint64_t(sum) + uint64_t(number)); }

}  // namespace

// The state of one thread within one run.
struct Chain::Worker {
    const Context& context;
    char* registers;
    char* loaded;    // one slot per operand
    char* partials;  // results of reductions so far
    Value operands[MAX_VALUES];
    void* at[MAX_VALUES];              // registers of this tile
    const void* repeated[MAX_VALUES];  // the row that a slot of `loaded` holds in every row
    int64_t repeated_rows[MAX_VALUES];

    Value value(int v) const { return v < 0 ? operands[-1 - v] : Value{at[v]}; }
};

Chain::Chain(std::string name, Dims loops, std::vector<Operand> operands, std::vector<Instruction> instructions,
             std::vector<Output> outputs, int num_registers)
    : Step(std::move(name)), loops_(std::move(loops)), operands_(std::move(operands)),
      instructions_(std::move(instructions)), outputs_(std::move(outputs)), num_registers_(num_registers) {
    if (operands_.size() > MAX_VALUES || num_registers_ > MAX_VALUES)
        throw std::invalid_argument("a chain has at most 64 operands and 64 registers");
    for (const auto& operand : operands_)
        if (!operand.immediate && operand.strides.size() != loops_.size()) throw std::invalid_argument("an operand or result has strides for another number of loops");
    for (const auto& output : outputs_)
        if (output.strides.size() != loops_.size()) throw std::invalid_argument("an operand or result has strides for another number of loops");
    require_values();
    merge_loops();
    if (loops_.size() > MAX_LOOPS) throw std::invalid_argument("a chain has at most 16 loops that cannot become one");
    lay_out_tiles();
    for (const auto& output : outputs_) {
        partial_offsets_.push_back(partial_bytes_);
        if (output.write != Write::store) partial_bytes_ += round_up(output.size * size_of(output.type));
    }
}

void Chain::require_values() const {
    auto is_register = [&](int v) { return v >= 0 && v < num_registers_; };
    auto is_value = [&](int v) { return v < 0 ? -1 - v < int(operands_.size()) : is_register(v); };
    for (const auto& i : instructions_)
        if (!is_register(i.to) || !is_value(i.a) || !is_value(i.b) || !is_value(i.c)) throw std::invalid_argument("an instruction has no such operand or register");
    for (const auto& output : outputs_)
        if (!is_value(output.value) || (output.direct && output.value < 0)) throw std::invalid_argument("an output has no such value");
    int64_t turns = 1;
    for (const int64_t n : loops_)
        if (n < 0 || __builtin_mul_overflow(turns, n, &turns)) throw std::invalid_argument("its loops have more turns than any memory has elements");
    for (const auto& operand : operands_)
        if (!operand.immediate) walked("operand", operand.place, operand.type, operand.strides);
    for (const auto& output : outputs_) walked("result", output.place, output.type, output.strides);
}

// What the loops walk through from a place on, of elements of a type; strides may be negative.
Access Chain::walked(const char* what, Place place, DType type, const Dims& strides) const {
    constexpr int64_t FARTHEST = int64_t(1) << 48;
    int64_t low = 0, high = 0;
    for (size_t d = 0; d < loops_.size(); ++d) {
        int64_t reach;
        if (__builtin_mul_overflow(strides[d], loops_[d] - 1, &reach) || std::abs(reach) > FARTHEST)
            throw std::invalid_argument(std::string("its ") + what + " has strides that no memory has");
        (reach < 0 ? low : high) += reach;
    }
    Access all = access(what, place, type, {high - low + 1});
    if (__builtin_add_overflow(all.place.offset, low * all.alignment, &all.place.offset))
        throw std::invalid_argument(std::string("its ") + what + " starts where no memory is");
    return all;
}

std::vector<Access> Chain::accesses() const {
    std::vector<Access> found;
    for (const auto& operand : operands_)
        if (!operand.immediate && total_) found.push_back(walked("operand", operand.place, operand.type, operand.strides));
    for (const auto& output : outputs_) {
        if (output.write == Write::store) {
            if (total_) found.push_back(walked("result", output.place, output.type, output.strides));
            continue;
        }
        const Access whole = access("reduced result", output.place, output.type, {output.size});
        const Access part = walked("reduced result", output.place, output.type, output.strides);
        if (total_ && (part.place.offset < whole.place.offset || part.place.offset + part.bytes > whole.place.offset + whole.bytes))
            throw std::invalid_argument("it reduces into more elements than its result has");
        found.push_back(whole);
    }
    return found;
}

// Loops of one turn vanish; two that every array walks as one become one.
void Chain::merge_loops() {
    std::vector<Dims*> strides;
    for (auto& operand : operands_)
        if (!operand.immediate) strides.push_back(&operand.strides);
    for (auto& output : outputs_) strides.push_back(&output.strides);
    for (size_t d = loops_.size(); d-- > 0;) {
        const bool single = loops_[d] == 1;
        const bool walks_on = d + 1 < loops_.size() && std::all_of(strides.begin(), strides.end(), [&](const Dims* s) {
            return (*s)[d] == (*s)[d + 1] * loops_[d + 1];
        });
        if (!single && !walks_on) continue;
        if (!single) loops_[d + 1] *= loops_[d];
        loops_.erase(loops_.begin() + d);
        for (Dims* s : strides) s->erase(s->begin() + d);
    }
    while (loops_.size() < 2) {
        loops_.insert(loops_.begin(), 1);
        for (Dims* s : strides) s->insert(s->begin(), 0);
    }
}

void Chain::lay_out_tiles() {
    total_ = 1;
    for (const int64_t turns : loops_) total_ *= turns;
    const int64_t rows = loops_[loops_.size() - 2], columns = loops_.back();
    tile_columns_ = std::min(columns, TILE);
    tile_rows_ = columns >= TILE ? 1 : std::max<int64_t>(1, std::min(rows, TILE / std::max<int64_t>(1, columns)));
    row_blocks_ = (rows + tile_rows_ - 1) / tile_rows_;
    column_blocks_ = columns ? (columns + tile_columns_ - 1) / tile_columns_ : 0;
    num_tiles_ = total_ ? total_ / (rows * columns) * row_blocks_ * column_blocks_ : 0;
}

int64_t Chain::worker_bytes() const {
    return (num_registers_ + int64_t(operands_.size())) * SLOT + partial_bytes_;
}

int64_t Chain::scratch_bytes(int threads) const { return threads * worker_bytes(); }

void Chain::run(Context& context, State*) const {
    const int workers = int(std::max<int64_t>(1, std::min<int64_t>(context.threads, std::min(num_tiles_, total_ / WORTH_A_THREAD))));
    auto work = [&](int number) {
        char* mine = context.scratch + number * worker_bytes();
        const int64_t loaded = num_registers_ * SLOT;
        Worker worker{context, mine, mine + loaded, mine + loaded + int64_t(operands_.size()) * SLOT, {}, {}, {}, {}};
        for (size_t i = 0; i < operands_.size(); ++i) {
            char* slot = worker.loaded + i * SLOT;
            if (operands_[i].immediate) {
                if (operands_[i].type == DType::i64) *reinterpret_cast<int64_t*>(slot) = int64_t(operands_[i].number);
                else *reinterpret_cast<float*>(slot) = float(operands_[i].number);
                worker.operands[i] = {slot, Value::Form::one};
            }
        }
        for (size_t o = 0; o < outputs_.size(); ++o) {
            if (outputs_[o].write == Write::store) continue;
            char* partial = worker.partials + partial_offsets_[o];
            if (outputs_[o].write == Write::sum) std::memset(partial, 0, outputs_[o].size * size_of(outputs_[o].type));
            else std::fill_n(reinterpret_cast<float*>(partial), outputs_[o].size, -std::numeric_limits<float>::infinity());
        }
        const int64_t first = num_tiles_ * number / workers, last = num_tiles_ * (number + 1) / workers;
        for (int64_t index = first; index < last; ++index) tile(worker, index);
    };
    auto combine_share = [&](int number) {
        for (size_t o = 0; o < outputs_.size(); ++o) {
            const int64_t size = outputs_[o].size;
            if (outputs_[o].write != Write::store)
                combine(context, int(o), workers, size * number / workers, size * (number + 1) / workers);
        }
    };
    in_parallel(workers, work, combine_share);
}

void Chain::tile(Worker& worker, int64_t index) const {
    const int64_t column_block = index % column_blocks_, row_block = index / column_blocks_ % row_blocks_;
    int64_t outer = index / column_blocks_ / row_blocks_;
    const size_t last = loops_.size() - 1;
    int64_t position[MAX_LOOPS];
    for (size_t d = last - 1; d-- > 0;) {
        position[d] = outer % loops_[d];
        outer /= loops_[d];
    }
    position[last - 1] = row_block * tile_rows_;
    position[last] = column_block * tile_columns_;
    const int64_t rows = std::min(tile_rows_, loops_[last - 1] - position[last - 1]);
    const int64_t columns = std::min(tile_columns_, loops_[last] - position[last]);
    auto offset = [&](const Dims& strides) {
        int64_t sum = 0;
        for (size_t d = 0; d <= last; ++d) sum += strides[d] * position[d];
        return sum;
    };
    for (size_t i = 0; i < operands_.size(); ++i)
        if (!operands_[i].immediate) load(worker, int(i), offset(operands_[i].strides), rows, columns);
    for (int r = 0; r < num_registers_; ++r) worker.at[r] = worker.registers + r * SLOT;
    auto contiguous = [&](const Output& output) {
        return output.strides[last] == 1 && (rows == 1 || output.strides[last - 1] == columns);
    };
    for (const auto& output : outputs_)
        if (output.direct && contiguous(output))
            worker.at[output.value] = worker.context.at<char>(output.place) + offset(output.strides) * size_of(output.type);
    for (const auto& i : instructions_)
        kernels().apply(i.operation, worker.at[i.to], worker.value(i.a), worker.value(i.b), worker.value(i.c), rows * columns);
    for (size_t o = 0; o < outputs_.size(); ++o) {
        const auto& output = outputs_[o];
        if (output.write != Write::store) reduce(worker, int(o), offset(output.strides), rows, columns);
        else if (!(output.direct && contiguous(output))) write(worker, int(o), offset(output.strides), rows, columns);
    }
}

namespace {

void convert(const Kernels& k, DType type, void* to, const char* from, int64_t count) {
    switch (type) {
        case DType::f32: std::memcpy(to, from, count * 4); return;
        case DType::i64: std::memcpy(to, from, count * 8); return;
        case DType::bf16: k.widen(static_cast<float*>(to), reinterpret_cast<const uint16_t*>(from), count); return;
        case DType::u8: k.from_bool(static_cast<float*>(to), reinterpret_cast<const uint8_t*>(from), count); return;
    }
}

template <class T>
void gather(T* to, const T* from, int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) to[i * columns + j] = from[i * row_stride + j * column_stride];
}

template <class T>
void scatter(T* to, const T* from, int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) to[i * row_stride + j * column_stride] = from[i * columns + j];
}

// Fetch what the next tile is likely to read while this one is being computed.
void prefetch(const char* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at, 0, 2);
}

// A value as one element after another, in `memory` if it is not so already.
Value spread_out(Value value, DType type, char* memory, int64_t count) {
    if (value.form == Value::Form::each) return value;
    kernels().apply(type == DType::i64 ? Operation::copy_i64 : Operation::copy, memory, value, {}, {}, count);
    return {memory};
}

}  // namespace

void Chain::load(Worker& worker, int number, int64_t offset, int64_t rows, int64_t columns) const {
    const Operand& operand = operands_[number];
    const int64_t width = size_of(operand.type);
    const char* from = worker.context.at<const char>(operand.place) + offset * width;
    const int64_t row_stride = operand.strides[operand.strides.size() - 2], column_stride = operand.strides.back();
    char* slot = worker.loaded + number * SLOT;
    const auto& k = kernels();
    const bool wide = operand.type == DType::f32 || operand.type == DType::i64;
    const bool one_row = row_stride == 0 || rows == 1;
    if (one_row && column_stride == 0) {
        convert(k, operand.type, slot, from, 1);
        worker.operands[number] = {slot, Value::Form::one};
        return;
    }
    if (column_stride == 1 && (rows == 1 || row_stride == columns)) {
        worker.repeated[number] = nullptr;
        prefetch(from + rows * columns * width, rows * columns * width);
        if (operand.type == DType::bf16) {
            worker.operands[number] = {from, Value::Form::half};
            return;
        }
        if (!wide) convert(k, operand.type, slot, from, rows * columns);
        worker.operands[number] = {wide ? from : slot};
        return;
    }
    worker.operands[number] = {slot};
    const int64_t inside = operand.type == DType::i64 ? 8 : 4;  // bytes of an element within a tile
    if (column_stride == 1 && one_row) {
        if (worker.repeated[number] == from && worker.repeated_rows[number] >= rows) return;
        convert(k, operand.type, slot, from, columns);
        for (int64_t done = 1; done < rows; done *= 2)
            std::memcpy(slot + done * columns * inside, slot, std::min(done, rows - done) * columns * inside);
        worker.repeated[number] = columns == loops_.back() ? from : nullptr;
        worker.repeated_rows[number] = rows;
        return;
    }
    worker.repeated[number] = nullptr;
    if (column_stride == 1) {
        for (int64_t i = 0; i < rows; ++i)
            convert(k, operand.type, slot + i * columns * inside, from + i * row_stride * width, columns);
        return;
    }
    switch (operand.type) {
        case DType::f32:
            return gather(reinterpret_cast<float*>(slot), reinterpret_cast<const float*>(from), rows, columns, row_stride, column_stride);
        case DType::i64:
            return gather(reinterpret_cast<int64_t*>(slot), reinterpret_cast<const int64_t*>(from), rows, columns, row_stride, column_stride);
        case DType::bf16:
        case DType::u8:
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = 0; j < columns; ++j)
                    convert(k, operand.type, slot + (i * columns + j) * 4, from + (i * row_stride + j * column_stride) * width, 1);
            return;
    }
}

void Chain::write(Worker& worker, int number, int64_t offset, int64_t rows, int64_t columns) const {
    const Output& output = outputs_[number];
    const int64_t count = rows * columns, width = size_of(output.type);
    char* to = worker.context.at<char>(output.place) + offset * width;
    const int64_t row_stride = output.strides[output.strides.size() - 2], column_stride = output.strides.back();
    Value value = worker.value(output.value);
    const auto& k = kernels();
    const bool packed = column_stride == 1 && (rows == 1 || row_stride == columns);
    if (packed && output.type == DType::bf16 && value.form == Value::Form::half) {
        std::memcpy(to, value.data, count * width);
        return;
    }
    char spread[SLOT], narrowed[SLOT];
    value = spread_out(value, output.type, spread, count);
    const char* from = static_cast<const char*>(value.data);
    if (output.type == DType::bf16 || output.type == DType::u8) {
        char* place = packed ? to : narrowed;
        if (output.type == DType::bf16) k.narrow(reinterpret_cast<uint16_t*>(place), reinterpret_cast<const float*>(from), count);
        else k.to_bool(reinterpret_cast<uint8_t*>(place), reinterpret_cast<const float*>(from), count);
        if (packed) return;
        from = narrowed;
    }
    if (column_stride == 1) {
        if (packed) {
            std::memcpy(to, from, count * width);
            return;
        }
        for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * row_stride * width, from + i * columns * width, columns * width);
        return;
    }
    switch (width) {
        case 8: return scatter(reinterpret_cast<int64_t*>(to), reinterpret_cast<const int64_t*>(from), rows, columns, row_stride, column_stride);
        case 4: return scatter(reinterpret_cast<int32_t*>(to), reinterpret_cast<const int32_t*>(from), rows, columns, row_stride, column_stride);
        case 2: return scatter(reinterpret_cast<int16_t*>(to), reinterpret_cast<const int16_t*>(from), rows, columns, row_stride, column_stride);
        default: return scatter(to, from, rows, columns, row_stride, column_stride);
    }
}

void Chain::reduce(Worker& worker, int number, int64_t offset, int64_t rows, int64_t columns) const {
    const Output& output = outputs_[number];
    Value value = worker.value(output.value);
    const int64_t row_stride = output.strides[output.strides.size() - 2], column_stride = output.strides.back();
    char* partial = worker.partials + partial_offsets_[number];
    const auto& k = kernels();
    char spread[SLOT];
    value = spread_out(value, output.type, spread, rows * columns);
    if (output.type == DType::i64) {
        const auto* from = static_cast<const int64_t*>(value.data);
        auto* to = reinterpret_cast<int64_t*>(partial) + offset;
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) add_to(to[i * row_stride + j * column_stride], from[i * columns + j]);
        return;
    }
    const auto* from = static_cast<const float*>(value.data);
    auto* to = reinterpret_cast<float*>(partial) + offset;
    const bool sum = output.write == Write::sum;
    auto join = [&](float& into, float part) { into = sum ? into + part : (part != part || part > into ? part : into); };
    if (column_stride == 0 && (row_stride == 0 || rows == 1)) {
        const float part = sum ? k.sum(from, rows * columns) : k.max(from, rows * columns);
        join(*to, part);
    } else if (column_stride == 0) {
        for (int64_t i = 0; i < rows; ++i) {
            const float part = sum ? k.sum(from + i * columns, columns) : k.max(from + i * columns, columns);

            join(to[i * row_stride], part);
        }
    } else if (column_stride == 1 && (row_stride == 0 || rows == 1)) {
        (sum ? k.accumulate : k.accumulate_max)(to, from, rows, columns);
    } else {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) join(to[i * row_stride + j * column_stride], from[i * columns + j]);
    }
}

// Partial results of the workers, joined in their order, so that the same number of threads gives the same bytes.
void Chain::combine(Context& context, int number, int workers, int64_t first, int64_t last) const {
    const Output& output = outputs_[number];
    auto partial = [&](int worker) {
        return context.scratch + (worker + 1) * worker_bytes() - partial_bytes_ + partial_offsets_[number];
    };
    if (output.type == DType::i64) {
        auto* to = context.at<int64_t>(output.place);
        for (int64_t i = first; i < last; ++i) {
            to[i] = 0;
            for (int w = 0; w < workers; ++w) add_to(to[i], reinterpret_cast<const int64_t*>(partial(w))[i]);
        }
        return;
    }
    auto* to = context.at<float>(output.place);
    for (int w = 0; w < workers; ++w) {
        const auto* from = reinterpret_cast<const float*>(partial(w));
        if (w == 0) std::copy(from + first, from + last, to + first);
        else if (output.write == Write::sum) kernels().accumulate(to + first, from + first, 1, last - first);
        else kernels().accumulate_max(to + first, from + first, 1, last - first);
    }
}

}  // namespace pellucid
