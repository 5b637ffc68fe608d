#include "team.hpp"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>

#include "notes.hpp"

namespace pellucid {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t USUAL_TURNS = 1000;  // of a wait that is not worth a look at the clock
constexpr int64_t ENDLESS = std::numeric_limits<int64_t>::max();

// A number of turns: digits with k, M, G or T for thousands and so on, or "infinite"; less than 0 where it is none of these.
int64_t parsed(const char* text) {
    if (!strncasecmp(text, "inf", 3)) return ENDLESS;
    char* end;
    const int64_t count = std::strtoll(text, &end, 10);
    if (end == text) return -1;
    const char* unit = *end ? std::strchr("kmgt", std::tolower(*end)) : nullptr;
    int64_t turns = count;
    for (const char* u = "kmgt"; unit && u <= unit; ++u)
        if (__builtin_mul_overflow(turns, 1000, &turns)) return ENDLESS;
    return turns;
}

// Sleeps until woken, unless the word is no longer `value`.
void sleep_while(std::atomic<uint32_t>& word, uint32_t value) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t>& word, int sleepers) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, sleepers, nullptr, nullptr, 0);
}

// Looks so many times; whether `ready` came true.
template <class Ready>
bool spin(int64_t turns, Ready ready) {
    for (int64_t i = 0; i < turns; ++i) {
        if (ready()) return true;
        _mm_pause();
    }
    return ready();
}

thread_local Team* current = nullptr;

struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<Team>> idle;

    Team* take(int size) {
        const std::lock_guard<std::mutex> lock(mutex);
        for (auto& team : idle)
            if (team->size() == size) {
                std::swap(team, idle.back());
                Team* found = idle.back().release();
                idle.pop_back();
                return found;
            }
        return new Team(size);
    }

    void give(Team* team) {
        const std::lock_guard<std::mutex> lock(mutex);
        idle.emplace_back(team);
    }
};

// Never destroyed: helpers end with the process. Threads do not come along when a process forks, so its child starts anew.
Pool& pool() {
    static Pool* the = [] {
        auto* made = new Pool();
        pthread_atfork([] { pool().mutex.lock(); }, [] { pool().mutex.unlock(); }, [] {
            new (&pool()) Pool();
            current = nullptr;
        });
        return made;
    }();
    return *the;
}

}  // namespace

const Waiting& waiting() {
    static const Waiting read = [] {
        const char *count = std::getenv("GOMP_SPINCOUNT"), *policy = std::getenv("OMP_WAIT_POLICY");
        if (const int64_t turns = count ? parsed(count) : -1; turns >= 0) return Waiting{turns, false};
        if (policy && !strcasecmp(policy, "passive")) return Waiting{0, false};
        if (policy && !strcasecmp(policy, "active")) return Waiting{ENDLESS, false};
        return Waiting{};
    }();
    return read;
}

Team* team() { return current; }

Leased::Leased(int size) : before_(current) {
    if (size > 1 && (!current || current->size() < size)) current = pool().take(size);
}

Leased::~Leased() {
    if (current != before_) pool().give(current);
    current = before_;
}

Team::Team(int size) : seats_(size), active_(size), turns_(waiting().turns) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the threads of the host
    try {
        for (int i = 1; i < size; ++i) helpers_.emplace_back([this, i] { help(i); });
    } catch (...) {
        dismiss(helpers_.size());
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Team::~Team() { dismiss(helpers_.size()); }

void Team::dismiss(size_t helpers) {
    for (size_t i = 1; i <= helpers; ++i) {
        seats_[i].offer = dismissed;
        wake(seats_[i].offer, 1);
    }
    for (auto& helper : helpers_) helper.join();
}

void Team::begin(Work work, int shares) {
    work_ = work;
    shares_ = shares;
    if (!work.bound && active_.load(std::memory_order_relaxed) == 1) return;
    left_.store(uint32_t(shares - 1), std::memory_order_relaxed);
    for (int i = 1; i < shares; ++i) {
        seats_[i].offer.store(work.bound ? own : any);  // sequentially consistent, as is the look of a helper that falls asleep
        if (seats_[i].asleep.load() && is_called(seats_[i], i)) wake(seats_[i].offer, 1);
    }
}

void Team::end() {
    if (!work_.bound && active_.load(std::memory_order_relaxed) == 1) {
        for (int i = 1; i < shares_; ++i) work_.share(work_.data, i);
        return;
    }
    if (!work_.bound) take_offers();
    auto all_done = [&] { return left_.load(std::memory_order_acquire) == 0; };
    const int64_t turns = turns_.load(std::memory_order_relaxed);
    if (spin(std::min(turns, USUAL_TURNS), all_done)) return;
    const auto start = Clock::now();
    if (!spin(turns - USUAL_TURNS, all_done)) {
        caller_asleep_ = 1;
        while (const uint32_t left = left_.load()) sleep_while(left_, left);
        caller_asleep_ = 0;
    }
    waited_ += std::chrono::duration<double>(Clock::now() - start).count();
}

bool Team::take(Seat& seat, uint32_t offer) {
    return seat.offer.load(std::memory_order_relaxed) == offer && seat.offer.compare_exchange_strong(offer, none, std::memory_order_acquire);
}

void Team::take_offers() {
    for (size_t i = 1; i < seats_.size(); ++i)
        if (take(seats_[i], any)) {
            work_.share(work_.data, int(i));
            finish();
        }
}

void Team::set_active(int threads) {
    active_.store(threads, std::memory_order_relaxed);
    turns_.store(threads < size() ? 0 : waiting().turns, std::memory_order_relaxed);
}

bool Team::is_called(const Seat& seat, int number) const {
    const uint32_t offer = seat.offer.load();
    return offer == own || offer == dismissed || (offer == any && number < active_.load(std::memory_order_relaxed));
}

// What a helper knows of the work it knows from a share that it has taken: as long as that is not done, the work lasts.
void Team::help(int number) {
    Seat& seat = seats_[number];
    for (;;) {
        if (!spin(turns_.load(std::memory_order_relaxed), [&] { return is_called(seat, number); })) {
            seat.asleep = 1;
            for (uint32_t seen = seat.offer.load(); !is_called(seat, number); seen = seat.offer.load()) sleep_while(seat.offer, seen);
            seat.asleep = 0;
        }
        const uint32_t offer = seat.offer.load();
        if (offer == dismissed) return;
        if (offer != none && take(seat, offer)) {  // somebody else may have taken it
            work_.share(work_.data, number);
            finish();
        }
        take_offers();
    }
}

void Team::finish() {
    const unsigned state = _mm_getcsr(), notes = state & not_finite;
    if (notes && this != current) {
        notes_.fetch_or(notes, std::memory_order_relaxed);
        _mm_setcsr(state & ~notes);
    }
    if (left_.fetch_sub(1) == 1 && caller_asleep_.load()) wake(left_, 1);
}

void Team::barrier() {
    const uint32_t before = passed_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1) + 1 == uint32_t(shares_)) {
        arrived_.store(0, std::memory_order_relaxed);
        passed_.store(before + 1);
        wake(passed_, shares_);
        return;
    }
    if (!spin(turns_.load(std::memory_order_relaxed), [&] { return passed_.load(std::memory_order_acquire) != before; }))
        while (passed_.load() == before) sleep_while(passed_, before);
}

}  // namespace pellucid
