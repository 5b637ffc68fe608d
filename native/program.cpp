#include "program.hpp"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

#include "notes.hpp"
#include "parallel.hpp"

namespace pellucid {
namespace {

constexpr int64_t ALIGNMENT = 64, HUGE_PAGE = int64_t(1) << 21;

// Whether one of so many threads has such a note; none has one any more.
bool any_takes(int threads, Note note) {
    if (threads <= 1) return threads == 1 && take(note);
    std::atomic<bool> found{false};
    in_parallel(threads, threads, [&](int) {
        if (take(note)) found = true;
    });
    return found;
}

}  // namespace

int available_threads(int wanted) {
    const bool may_start = omp_get_active_level() < omp_get_max_active_levels();
    return may_start ? std::min(wanted, omp_get_thread_limit()) : 1;
}

Threads::Threads(int threads) : before_(omp_get_max_threads()), dynamic_before_(omp_get_dynamic()) {
    omp_set_num_threads(available_threads(threads));
    omp_set_dynamic(0);  // every thread has its share of the work, so none may be left out
}

Threads::~Threads() {
    omp_set_num_threads(before_);
    omp_set_dynamic(dynamic_before_);
}

Memory::Memory(int64_t bytes) {
    const int64_t alignment = bytes < HUGE_PAGE ? ALIGNMENT : HUGE_PAGE;
    const int64_t rounded = (std::max<int64_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    start_ = static_cast<char*>(std::aligned_alloc(alignment, rounded));
    if (!start_) throw std::bad_alloc();
    if (alignment == HUGE_PAGE) madvise(start_, rounded, MADV_HUGEPAGE);  // a wish: the system may refuse
}

Memory::~Memory() { std::free(start_); }

Context* Program::acquire() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
        auto context = std::make_unique<Context>();
        int64_t scratch = 0;
        for (const auto& step : steps_) scratch = std::max(scratch, step->scratch_bytes(threads_));
        context->memory = Memory(arena_bytes_ + scratch + ALIGNMENT);
        char* arena = context->memory.start();
        context->bases.assign(1 + num_arrays_, nullptr);
        context->bases[0] = arena;
        context->scratch = arena + (arena_bytes_ + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        context->threads = threads_;
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
    int noting = 0;
    for (int i = first; i < last; ++i) noting = std::max(noting, steps_[i]->noting_threads());
    take(Note::invalid);
    context.keeps_nan = keeps_nan;
    run_steps(context, first, last, seconds);
    context.keeps_nan = false;
    return any_takes(noting, Note::invalid) && !keeps_nan;
}

bool Program::run_watched(Context& context, int first, int last) const {
    require_steps(first, last);
    const Threads threads(threads_);
    any_takes(threads_, Note::not_finite);
    run_steps(context, first, last, nullptr);
    return any_takes(threads_, Note::not_finite);
}

void Program::require_steps(int first, int last) const {
    if (first < 0 || last > size() || first > last) throw std::out_of_range("a program has no such steps");
}

void Program::run_steps(Context& context, int first, int last, double* seconds) const {
    for (int i = first; i < last; ++i) {
        const auto start = std::chrono::steady_clock::now();
        try {
            steps_[i]->run(context, context.states[i].get());
        } catch (const std::exception& error) {
            context.keeps_nan = false;
            throw StepError(steps_[i]->name + ": " + error.what());
        }
        if (seconds) seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
}

}  // namespace pellucid
