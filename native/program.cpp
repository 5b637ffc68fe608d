#include "program.hpp"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>

#include "notes.hpp"
#include "openmp.hpp"

namespace pellucid {
namespace {

constexpr int64_t HUGE_PAGE = int64_t(1) << 21;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Whether the calling thread or a helper of its team has such a note; none has one any more.
bool any_takes(Note note) {
    const bool mine = take(note);
    return (team() && (team()->take_notes() & note)) || mine;
}

}  // namespace

int available_threads(int wanted) {
    const bool may_start = omp_get_active_level() < omp_get_max_active_levels();
    return serves_onednn() && may_start ? std::min(wanted, omp_get_thread_limit()) : 1;
}

Threads::Threads(int threads) : before_(region_threads()) { set_region_threads(available_threads(threads)); }

Threads::~Threads() { set_region_threads(before_); }

Memory::Memory(int64_t bytes) {
    const int64_t alignment = bytes < HUGE_PAGE ? ALIGNMENT : HUGE_PAGE;
    const int64_t rounded = (std::max<int64_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    start_ = static_cast<char*>(std::aligned_alloc(alignment, rounded));
    if (!start_) throw std::bad_alloc();
    if (alignment == HUGE_PAGE) madvise(start_, rounded, MADV_HUGEPAGE);  // a wish: the system may refuse
}

Memory::~Memory() { std::free(start_); }

Access access(const char* what, Place place, DType type, std::initializer_list<int64_t> sizes) {
    const int64_t element = size_of(type);
    int64_t bytes = element;
    for (const int64_t size : sizes)
        if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes))
            throw std::invalid_argument(std::string("its ") + what + " has a size that no memory has");
    return {what, place, bytes, element};
}

void Program::add(std::unique_ptr<Step> step) {
    try {
        for (const Access& access : step->accesses()) require(*step, access);
    } catch (const std::invalid_argument& error) {
        throw StepError(step->name + ": " + error.what());
    }
    steps_.push_back(std::move(step));
}

void Program::require(const Step& step, const Access& access) const {
    const auto [base, offset] = access.place;
    const std::string its = step.name + ": its " + access.what;
    if (base < 0 || base > int(array_bytes_.size()))
        throw StepError(its + " lies in array " + std::to_string(int64_t(base) - 1) + ", expected one of " + std::to_string(array_bytes_.size()));
    const int64_t size = base ? array_bytes_[base - 1] : arena_bytes_;
    const std::string where = base ? "array " + std::to_string(base - 1) : "the arena";
    if (offset < 0 || access.bytes > size || offset > size - access.bytes)
        throw StepError(its + " takes " + std::to_string(access.bytes) + " bytes from byte " + std::to_string(offset) + " of " + where + " on, which has " +
                        std::to_string(size));
    if (offset % access.alignment)
        throw StepError(its + " starts at byte " + std::to_string(offset) + " of " + where + ", expected a multiple of " + std::to_string(access.alignment));
}

Context* Program::acquire() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
        auto context = std::make_unique<Context>();
        int64_t scratch = 0;
        for (const auto& step : steps_) scratch = std::max(scratch, step->scratch_bytes(threads_));
        context->memory = Memory(arena_bytes_ + scratch + ALIGNMENT);
        char* arena = context->memory.start();
        context->bases.assign(1 + array_bytes_.size(), nullptr);
        context->bases[0] = arena;
        context->scratch = arena + (arena_bytes_ + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        context->threads = threads_;
        context->paces.assign(steps_.size() + 1, Pace(threads_, now()));
        for (const auto& step : steps_) context->states.push_back(step->make_state());
        idle_.reserve(contexts_.size() + 1);
        contexts_.push_back(std::move(context));
        return contexts_.back().get();
    }
    Context* context = idle_.back();
    idle_.pop_back();
    return context;
}

void Program::release(Context* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(context);
}

bool Program::run(Context& context, int first, int last, double* seconds, bool keeps_nan) const {
    require_steps(first, last);
    const Threads threads(threads_);
    const Leased leased(threads_);
    const bool noting = std::any_of(steps_.begin() + first, steps_.begin() + last, [](const auto& step) { return step->notes_nan(); });
    any_takes(Note::invalid);
    context.keeps_nan = keeps_nan;
    run_steps(context, first, last, seconds);
    context.keeps_nan = false;
    return any_takes(Note::invalid) && noting && !keeps_nan;
}

bool Program::run_watched(Context& context, int first, int last) const {
    require_steps(first, last);
    const Threads threads(threads_);
    const Leased leased(threads_);
    any_takes(Note::not_finite);
    run_steps(context, first, last, nullptr);
    return any_takes(Note::not_finite);
}

void Program::require_steps(int first, int last) const {
    if (first < 0 || last > size() || first > last) throw std::out_of_range("a program has no such steps");
}

void Program::run_steps(Context& context, int first, int last, double* seconds) const {
    Team* const mine = team();
    if (!mine || !waiting().adapts) return run_all(context, first, last, seconds);
    const double start = now();
    Pace& pace = context.paces[first];
    mine->set_active(pace.active());
    mine->take_waited();
    run_all(context, first, last, seconds);
    const double end = now();
    pace.note(end, end - start, mine->take_waited());
}

void Program::run_all(Context& context, int first, int last, double* seconds) const {
    for (int i = first; i < last; ++i) {
        const double start = seconds ? now() : 0;
        try {
            steps_[i]->run(context, context.states[i].get());
        } catch (const std::exception& error) {
            context.keeps_nan = false;
            throw StepError(steps_[i]->name + ": " + error.what());
        }
        if (seconds) seconds[i] += now() - start;
    }
}

}  // namespace pellucid
