// A finished program: steps over an arena and the caller's arrays. Running it touches no Python and allocates nothing.
#pragma once

#include <initializer_list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "pace.hpp"
#include "team.hpp"

namespace pellucid {

constexpr int64_t ALIGNMENT = 64;  // bytes, of the arena and of what is placed in it: a cache line

// Of `wanted` threads as many as OpenMP's settings allow: fewer under OMP_THREAD_LIMIT, one where none may be started.
int available_threads(int wanted);

// Within its life oneDNN makes and runs primitives of the calling thread for `threads` threads, or those available.
class Threads {
public:
    explicit Threads(int threads);
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

private:
    int before_;
};

// Where a value lies: base 0 is the arena of the context, base i > 0 the caller's array i - 1. Offsets are in bytes.
struct Place {
    int base;
    int64_t offset;
};

// A stretch of memory that a step reads or writes; `alignment` is the size of its elements.
struct Access {
    const char* what;
    Place place;
    int64_t bytes, alignment;
};

// So many elements of a type at a place, as many as the sizes say.
Access access(const char* what, Place place, DType type, std::initializer_list<int64_t> sizes);

// A step failed, or cannot be one; the message starts with the node's name.
struct StepError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Program;

// What a step keeps per context: oneDNN's memory objects, for instance.
struct State {
    virtual ~State() = default;
};

// Memory on huge pages where the system has them: a step walks through tens of megabytes.
class Memory {
public:
    Memory() = default;
    explicit Memory(int64_t bytes);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(Memory&& other) noexcept {
        std::swap(start_, other.start_);
        return *this;
    }
    char* start() const { return start_; }

private:
    char* start_ = nullptr;
};

// The memory of one running thread of the caller.
struct Context {
    std::vector<char*> bases;
    std::vector<std::unique_ptr<State>> states;
    Memory memory;
    char* scratch = nullptr;
    int threads = 1;
    bool keeps_nan = false;  // at the cost of speed, where a NaN was met
    std::vector<Pace> paces;  // by the first step of a run

    template <class T>
    T* at(Place place) const { return reinterpret_cast<T*>(bases[place.base] + place.offset); }
};

class Step {
public:
    explicit Step(std::string name) : name(std::move(name)) {}
    virtual ~Step() = default;
    virtual std::unique_ptr<State> make_state() const { return nullptr; }
    virtual int64_t scratch_bytes(int) const { return 0; }
    // Whether it may make a number of a NaN, and then notes it.
    virtual bool notes_nan() const { return false; }
    // All memory of the arena and of the caller's arrays that `run` touches.
    virtual std::vector<Access> accesses() const = 0;
    virtual void run(Context&, State*) const = 0;

    const std::string name;
};

class Program {
public:
    // `array_bytes` are the sizes of the caller's arrays.
    Program(int64_t arena_bytes, std::vector<int64_t> array_bytes, int threads)
        : arena_bytes_(arena_bytes), array_bytes_(std::move(array_bytes)), threads_(available_threads(threads)) {}

    // Throws a StepError for a step that touches memory that the program does not have, or in the middle of an element.
    void add(std::unique_ptr<Step> step);
    int size() const { return int(steps_.size()); }
    int threads() const { return threads_; }

    // A context nobody else uses; made when there is none. Give it back with `release`.
    Context* acquire();
    void release(Context* context);
    int num_contexts() const { return int(contexts_.size()); }

    // Run steps `first` to `last` (without). `seconds`, if not null, gets the time of each. Whether a NaN may have become a
    // number: then all that has been computed from the inputs on is to be run again with `keeps_nan`, which is slower.
    bool run(Context& context, int first, int last, double* seconds, bool keeps_nan = false) const;

    // The same for steps that set parameters. Whether an infinity or a NaN may have been made of numbers.
    bool run_watched(Context& context, int first, int last) const;

private:
    void require_steps(int first, int last) const;
    void require(const Step& step, const Access& access) const;
    void run_steps(Context& context, int first, int last, double* seconds) const;
    void run_all(Context& context, int first, int last, double* seconds) const;

    int64_t arena_bytes_;
    std::vector<int64_t> array_bytes_;
    int threads_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<std::unique_ptr<Context>> contexts_;
    std::vector<Context*> idle_;
    std::mutex mutex_;
};

}  // namespace pellucid
