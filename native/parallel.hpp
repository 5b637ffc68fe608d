// Shares of work among threads.
#pragma once

#include "team.hpp"

namespace pellucid {

// Calls every phase with the numbers 0 to workers - 1, on as many threads as are free; a phase begins when the last has ended.
template <class... Phase>
void in_parallel(int workers, Phase... phases) {
    Team* const team = pellucid::team();
    auto run = [&](auto& phase) {
        using Function = std::remove_reference_t<decltype(phase)>;
        const auto share = [](const void* data, int number) { (*static_cast<const Function*>(data))(number); };
        if (workers > 1 && team) return team->run({share, &phase, false}, workers);
        for (int number = 0; number < workers; ++number) phase(number);
    };
    (run(phases), ...);
}

}  // namespace pellucid
