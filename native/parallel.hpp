// Shares of work among threads.
#pragma once

#include <omp.h>

namespace pellucid {

// Calls every phase with the numbers 0 to workers - 1, each on a thread of its own; a phase begins when the last has ended.
//
// A team has all of the program's threads, or the caller is alone: GNU OpenMP ends the threads that a smaller team leaves
// out and starts them anew for the next, and it allocates memory even for a team of one.
template <class... Phase>
void in_parallel(int threads, int workers, Phase... phases) {
    if (workers == 1) return (phases(0), ...);
#pragma omp parallel num_threads(threads)
    {
        const int number = omp_get_thread_num();
        int left = sizeof...(phases);
        auto run = [&](auto& phase) {
            if (number < workers) phase(number);
            if (--left) {
#pragma omp barrier
            }
        };
        (run(phases), ...);
    }
}

}  // namespace pellucid
