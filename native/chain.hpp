// A chain: elementwise arithmetic, copies and reductions over one loop nest, run tile by tile in the first-level cache.
#pragma once

#include "program.hpp"

namespace pellucid {

using Dims = std::vector<int64_t>;

// What a chain reads: an array under strides (in elements, one per loop; 0 where it is repeated), or a number.
struct Operand {
    Place place;
    DType type;
    Dims strides;
    bool immediate = false;
    double number = 0;
};

// to = operation(a, b, c). A value v >= 0 is register v, v < 0 is operand -1 - v.
struct Instruction {
    Operation operation;
    int to, a, b, c;
};

enum class Write : int { store, sum, max };

// What a chain writes: `value` to every place, or summed (or the largest) over the loops whose stride is 0.
struct Output {
    Place place;
    DType type;
    Dims strides;
    int value;
    Write write;
    int64_t size;  // elements of the whole output
    bool direct;   // `value` is a register of this output alone, which may live in the output itself
};

class Chain : public Step {
public:
    Chain(std::string name, Dims loops, std::vector<Operand> operands, std::vector<Instruction> instructions,
          std::vector<Output> outputs, int num_registers);

    int64_t scratch_bytes(int threads) const override;
    std::vector<Access> accesses() const override;
    void run(Context&, State*) const override;

private:
    struct Worker;

    void require_values() const;
    Access walked(const char* what, Place place, DType type, const Dims& strides) const;

    void merge_loops();
    void lay_out_tiles();
    int64_t worker_bytes() const;
    void tile(Worker&, int64_t index) const;
    void load(Worker&, int operand, int64_t offset, int64_t rows, int64_t columns) const;
    void write(Worker&, int output, int64_t offset, int64_t rows, int64_t columns) const;
    void reduce(Worker&, int output, int64_t offset, int64_t rows, int64_t columns) const;
    void combine(Context&, int output, int workers, int64_t first, int64_t last) const;

    Dims loops_;
    std::vector<Operand> operands_;
    std::vector<Instruction> instructions_;
    std::vector<Output> outputs_;
    int num_registers_;
    int64_t total_, tile_rows_, tile_columns_, row_blocks_, column_blocks_, num_tiles_;
    std::vector<int64_t> partial_offsets_;  // of each output in a worker's partial results
    int64_t partial_bytes_ = 0;
};

}  // namespace pellucid
