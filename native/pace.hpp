// How many of a team's threads take part in a run, by what that makes of its time.
//
// On a machine that is busy with something else a thread that takes part and does not run is waited for. Where a caller waits
// much longer than usual, half as many threads are tried, and then one after the other what is faster; more are tried again
// after a while. Shares of work stay as they are, and so does every byte of the results.
#pragma once

#include <cstdint>
#include <limits>

namespace pellucid {

class Pace {
public:
    Pace(int threads, double now);

    // Threads that take part in the next run.
    int active() const { return active_; }

    // Notes a run: when it ended, how long it took, and how long its caller waited for absent helpers, in seconds.
    void note(double now, double seconds, double waited);

private:
    void judge(double now);
    void use(int active);

    int threads_, active_, settled_;  // of the program, of the next run, and those that were fastest
    double per_run_ = 0;              // mean seconds of a run with `settled_` threads
    double total_ = 0, waited_ = 0;   // of the turn that is going on
    int64_t runs_ = 0;
    double hold_, next_trial_;  // seconds from a trial to the next, and when that may be
    double rose_ = -std::numeric_limits<double>::infinity();  // when more threads were last found to be faster
};

}  // namespace pellucid
