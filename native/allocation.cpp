// Small blocks that oneDNN asks for while a program runs come from blocks of the run before.
//
// dnnl_primitive_execute makes a handful of objects of a few dozen bytes each and gives them up again. This module is
// looked up for operator new before the C++ library is, so that here they are kept for the next run on the same thread.
// Every block is malloc's and may be freed by anybody; while nothing runs, nothing is different.
#include "allocation.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace pellucid {
namespace {

constexpr size_t STEP = 16, CLASSES = 32, SLOTS = 32;  // blocks of up to 512 bytes

struct Kept {
    void* blocks[CLASSES][SLOTS];
    unsigned char counts[CLASSES];
    bool ended;

    ~Kept() {
        ended = true;
        for (size_t c = 0; c < CLASSES; ++c)
            while (counts[c]) std::free(blocks[c][--counts[c]]);
    }
};

thread_local Kept kept{};
std::atomic<int> running{0};  // runs that are going on; helping threads take part in them

void* allocate(size_t bytes) {
    const size_t number = (bytes + STEP - 1) / STEP;  // of the class: blocks of at least number * STEP bytes
    const bool small = number < CLASSES && running.load(std::memory_order_relaxed) && !kept.ended;
    if (small)  // malloc may have given a block of one step more than it was asked for
        for (size_t n = number; n < CLASSES && n <= number + 1; ++n)
            if (kept.counts[n]) return kept.blocks[n][--kept.counts[n]];
    void* block = std::malloc(small ? (number ? number : 1) * STEP : (bytes ? bytes : 1));
    if (!block) throw std::bad_alloc();
    return block;
}

void release(void* block) {
    if (!block) return;
    if (running.load(std::memory_order_relaxed) && !kept.ended) {
        const size_t number = malloc_usable_size(block) / STEP;
        if (number < CLASSES && kept.counts[number] < SLOTS) {
            kept.blocks[number][kept.counts[number]++] = block;
            return;
        }
    }
    std::free(block);
}

}  // namespace

BlocksKept::BlocksKept() { ++running; }
BlocksKept::~BlocksKept() { --running; }

}  // namespace pellucid

#define EXPORTED __attribute__((visibility("default")))
EXPORTED void* operator new(size_t bytes) { return pellucid::allocate(bytes); }
EXPORTED void* operator new[](size_t bytes) { return pellucid::allocate(bytes); }
EXPORTED void operator delete(void* block) noexcept { pellucid::release(block); }
EXPORTED void operator delete[](void* block) noexcept { pellucid::release(block); }
EXPORTED void operator delete(void* block, size_t) noexcept { pellucid::release(block); }
EXPORTED void operator delete[](void* block, size_t) noexcept { pellucid::release(block); }
