#include "pace.hpp"

#include <algorithm>
#include <atomic>

namespace pellucid {
namespace {

constexpr double TURN = 0.01;                          // seconds after which a number of threads is judged
constexpr double LEAST_HOLD = 0.1, MOST_HOLD = 1.6;    // seconds until another number is tried
constexpr double TROUBLE = 0.2;                        // share of a turn spent waiting for helpers from which on fewer are tried
constexpr double GAIN = 0.95;                          // of the time that another number must take to be preferred
constexpr double BEARABLE = 1.5;                       // times the best, beyond which still fewer threads are not tried
constexpr double COST = 20;                            // times a trial that did not pay, for which there is no other
constexpr double PROVEN = 1.0;                         // seconds for which more threads must have done before their trouble is news
constexpr double FRESH = 1.0;                          // seconds for which one program's trouble is news to those that start

// What programs know of one another: when one last did with fewer threads than it has, and with how many.
std::atomic<double> trouble_seen{-FRESH};
std::atomic<int> threads_then{1};

}  // namespace

Pace::Pace(int threads, double now) : threads_(threads), active_(threads), hold_(LEAST_HOLD), next_trial_(now) {
    if (now - trouble_seen.load(std::memory_order_relaxed) < FRESH) {
        active_ = std::min(threads, threads_then.load(std::memory_order_relaxed));
        next_trial_ = now + hold_;
    }
    settled_ = active_;
}

void Pace::note(double now, double seconds, double waited) {
    total_ += seconds;
    waited_ += waited;
    ++runs_;
    if (total_ >= TURN) judge(now);
}

void Pace::judge(double now) {
    const double per_run = total_ / double(runs_);
    const bool rising = active_ > settled_, falling = active_ < settled_, pays = per_run < GAIN * per_run_;
    const bool trouble = waited_ > TROUBLE * total_, bearable = per_run < BEARABLE * per_run_;
    if (!(rising || falling) || pays) {
        settled_ = active_;
        per_run_ = per_run;
    }
    if (settled_ < threads_) {
        trouble_seen.store(now, std::memory_order_relaxed);
        threads_then.store(settled_, std::memory_order_relaxed);
    }
    if (falling && bearable && active_ > 1) return use(active_ / 2);  // several may have to go before any of them helps
    if (rising && pays) rose_ = now;
    if (falling || (rising && !pays)) {
        const bool news = falling && pays && now - rose_ > PROVEN;
        hold_ = news ? LEAST_HOLD : std::max(std::min(2 * hold_, MOST_HOLD), pays ? 0 : COST * total_);
        next_trial_ = now + hold_;
    }
    if (now < next_trial_) use(settled_);
    else if (trouble && settled_ > 1) use(settled_ / 2);
    else use(std::min(2 * settled_, threads_));
}

void Pace::use(int active) {
    active_ = active;
    total_ = waited_ = 0;
    runs_ = 0;
}

}  // namespace pellucid
