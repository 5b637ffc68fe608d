// Threads that share the work of a program, and how they wait for one another.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace pellucid {

// Shares of work, by number. Those that are `bound` wait for one another, so that each needs a thread of its own; the
// others wait for nothing, and whoever is free takes the next.
struct Work {
    void (*share)(const void* data, int number);
    const void* data;
    bool bound;
};

// How threads wait: so many looks before they go to sleep, and whether a program may do with fewer threads where others
// keep the processors busy. GOMP_SPINCOUNT and OMP_WAIT_POLICY, as GNU OpenMP reads them, say how and that it may not.
struct Waiting {
    int64_t turns = 10000;
    bool adapts = true;
};
const Waiting& waiting();

// The calling thread and its helpers. One caller at a time; which thread does a share changes no byte of the result.
class Team {
public:
    explicit Team(int size);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return int(seats_.size()); }

    // Shares 0 to `shares` - 1, of which the caller does number 0 between the two calls; `end` returns when all are done.
    void begin(Work work, int shares);
    void end();
    void run(Work work, int shares) {
        begin(work, shares);
        work.share(work.data, 0);
        end();
    }

    // Waits, within bound shares, for all others.
    void barrier();

    // The processor's notes that helpers have left since the last call.
    unsigned take_notes() { return notes_.exchange(0, std::memory_order_relaxed); }

    // So many threads, the caller among them, take part from now on in shares that are not bound.
    void set_active(int threads);

    // Seconds that the caller has waited for helpers since the last call, without waits as short as the usual ones.
    double take_waited() { return std::exchange(waited_, 0.0); }

private:
    enum Offer : uint32_t { none, own, any, dismissed };
    struct alignas(64) Seat {
        std::atomic<uint32_t> offer{none};
        std::atomic<uint32_t> asleep{0};
    };

    bool is_called(const Seat& seat, int number) const;
    void help(int number);
    bool take(Seat& seat, uint32_t offer);
    void take_offers();
    void finish();
    void dismiss(size_t helpers);

    std::vector<Seat> seats_;  // by number of share; the caller's own is not used
    std::vector<std::thread> helpers_;
    Work work_{};
    int shares_ = 0;
    double waited_ = 0;
    std::atomic<int> active_;
    std::atomic<int64_t> turns_;  // that who waits looks before it goes to sleep
    alignas(64) std::atomic<uint32_t> left_{0};  // shares of helpers that are not done
    std::atomic<uint32_t> caller_asleep_{0};
    std::atomic<unsigned> notes_{0};
    alignas(64) std::atomic<uint32_t> arrived_{0};
    std::atomic<uint32_t> passed_{0};  // barriers that all have reached
};

// Within its life the calling thread has a team of `size` threads, its own from outside or an idle one.
class Leased {
public:
    explicit Leased(int size);
    ~Leased();
    Leased(const Leased&) = delete;
    Leased& operator=(const Leased&) = delete;

private:
    Team* before_;
};

// The team of the calling thread; null without a lease.
Team* team();

}  // namespace pellucid
