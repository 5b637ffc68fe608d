// Teams: every share is done once by whoever it may be done by; and how many threads take part.
#include "../team.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <functional>

#include "../notes.hpp"
#include "../openmp.hpp"
#include "../pace.hpp"
#include "../parallel.hpp"
#include "../primitives.hpp"
#include "check.hpp"

namespace pellucid::test {
namespace {

using Share = std::function<void(int)>;

Work work_of(const Share& share, bool bound) {
    return {[](const void* data, int number) { (*static_cast<const Share*>(data))(number); }, &share, bound};
}

TEST(every_share_is_done_once) {
    for (const int size : {2, 3, 5})
        for (const bool bound : {false, true})
            for (int active = 1; active <= size; ++active) {
                const Leased leased(size);
                team()->set_active(active);
                for (int round = 0; round < 200; ++round) {
                    const int shares = 2 + round % (size - 1);
                    std::vector<int> done(shares, 0);  // written without synchronisation: `run` is to give it
                    team()->run(work_of([&](int number) { ++done[number]; }, bound), shares);
                    for (const int count : done) CHECK(count == 1);
                }
                team()->set_active(size);
            }
}

TEST(bound_shares_wait_for_one_another) {
    for (const int size : {2, 4}) {
        const Leased leased(size);
        for (const int active : {1, size}) {
            team()->set_active(active);
            std::vector<int> seen(size, 0);
            std::atomic<int> wrong{0};
            Team& mine = *team();
            const Share share = [&](int number) {
                for (int phase = 1; phase <= 100; ++phase) {
                    seen[number] = phase;
                    mine.barrier();
                    for (const int other : seen) wrong += other != phase;
                    mine.barrier();
                }
            };
            mine.run(work_of(share, true), size);
            CHECK(wrong == 0);
        }
        team()->set_active(size);
    }
}

TEST(phases_follow_one_another) {
    const Leased leased(3);
    for (int round = 0; round < 200; ++round) {
        std::vector<int> parts(3, 0);
        std::vector<int> sums(3, 0);
        in_parallel(3, [&](int number) { parts[number] = number + 1; }, [&](int number) { sums[number] = parts[0] + parts[1] + parts[2]; });
        for (const int sum : sums) CHECK(sum == 6);
    }
}

TEST(callers_have_teams_of_their_own) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 50; ++round) {
                const Leased leased(2 + caller % 2);
                std::vector<int> done(2, 0);
                team()->run(work_of([&](int number) { done[number] = caller + 1; }, round % 2), 2);
                wrong += done[0] != caller + 1 || done[1] != caller + 1;
            }
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0 && team() == nullptr);
}

TEST(a_helper_leaves_the_notes_of_its_processor) {
    const Leased leased(2);
    const volatile float zero = 0.0f;
    team()->take_notes();
    team()->run(work_of([&](int) {}, true), 2);
    CHECK(!(team()->take_notes() & Note::invalid));
    team()->run(work_of([&](int number) { if (number) { const volatile float nothing = zero / zero; (void)nothing; } }, true), 2);
    CHECK(team()->take_notes() & Note::invalid);
    CHECK(!take(Note::invalid) && !(team()->take_notes() & Note::invalid));
}

// Helpers stay behind when a process forks; its child has new ones.
TEST(a_forked_process_computes_too) {
    const Leased leased(2);
    team()->run(work_of([](int) {}, true), 2);
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        const Leased again(2);
        std::vector<int> done(2, 0);
        team()->run(work_of([&](int number) { done[number] = 1; }, true), 2);
        _exit(done[0] + done[1] == 2 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(onednn_has_these_threads) { CHECK(serves_onednn()); }

// The bytes of a step's result, with so many threads of three taking part.
Floats result(const Step& step, std::vector<Floats> arrays, int active) {
    const Threads within(3);
    const Leased leased(3);
    Context context;
    context.bases.push_back(nullptr);
    for (auto& array : arrays) context.bases.push_back(reinterpret_cast<char*>(array.data()));
    const auto state = step.make_state();
    team()->set_active(active);
    step.run(context, state.get());
    team()->set_active(3);
    return arrays[2];
}

TEST(onednn_gives_the_same_bytes_whoever_takes_part) {
    const Threads within(3);
    constexpr int64_t C = 32, SIZE = 20, IMAGE = 2 * C * SIZE * SIZE;
    const std::vector<Floats> arrays{whole_numbers(IMAGE, 1), whole_numbers(C * C * 9, 2), Floats(IMAGE), Floats(1 << 20)};
    constexpr Place A{1, 0}, B{2, 0}, OUT{3, 0}, SCRATCH{4, 0};
    std::vector<std::unique_ptr<Step>> steps;
    for (const auto layout : {Layout::blocked, Layout::channels_last})
        for (const int64_t kernel : {1, 3}) {
            const int64_t padding = kernel / 2;
            const ConvolutionShape shape{2, C, C, 1, {SIZE, SIZE}, {SIZE, SIZE}, {kernel, kernel}, {1, 1}, {padding, padding}, {1, 1}};
            const Epilogue epilogue{false, false, false};
            steps.push_back(Convolution("forward", Direction::forward, shape, layout, layout, DType::f32, DType::f32, epilogue).step(A, B, OUT, A, A, SCRATCH));
            steps.push_back(Convolution("backward", Direction::backward_data, shape, layout, layout, DType::f32, DType::f32, epilogue).step(OUT, B, A, A, A, SCRATCH));
        }
    for (const int64_t inner : {8, 1024}) {
        const Product product("product", {{25, inner}, {inner, 1}, DType::f32}, {{inner, 8}, {8, 1}, DType::f32}, {{25, 8}, {8, 1}, DType::f32}, {false, false, false});
        steps.push_back(product.step(A, B, OUT, A, A, SCRATCH));
    }
    for (const auto& step : steps) {
        const Floats expected = result(*step, arrays, 3);
        for (const int active : {1, 2}) CHECK(result(*step, arrays, active) == expected);
    }
}

// A machine as a program sees it: milliseconds of a run, and what of it the caller waits for helpers, by threads that take part.
struct Machine {
    std::function<double(int)> run, waits;
};

// Threads that take part after so many seconds.
int active_after(Pace& pace, double& now, double seconds, const Machine& machine) {
    for (const double end = now + seconds; now < end;) {
        const double took = machine.run(pace.active()) / 1000;
        now += took;
        pace.note(now, took, machine.waits(pace.active()) / 1000);
    }
    return pace.active();
}

double idle(int threads) { return 4.0 / threads; }
double nothing(int) { return 0; }

TEST(as_many_threads_take_part_as_make_runs_shortest) {
    const Machine quiet{idle, nothing};
    const Machine busy{[](int threads) { return threads == 1 ? 4.0 : 20.0; }, [](int threads) { return threads == 1 ? 0.0 : 17.0; }};
    const Machine one_of_eight_busy{[](int threads) { return threads == 8 ? 1.0 : idle(threads); }, [](int threads) { return threads == 8 ? 0.5 : 0.0; }};
    const Machine uneven{idle, [](int threads) { return threads == 1 ? 0.0 : idle(threads) / 2; }};  // waits, whatever else runs
    int with_two = 0;  // runs since a second thread takes part, which the system favours at first
    const Machine luck{[&](int threads) { return threads == 1 ? with_two = 0, 4.0 : ++with_two < 8 ? 2.0 : 20.0; },
                       [&](int threads) { return threads > 1 && with_two >= 8 ? 17.0 : 0.0; }};
    struct Case {
        const char* what;
        int threads;
        Machine machine;
        int expected;
    };
    double now = 1000;
    for (const Case& c : {Case{"quiet", 2, quiet, 2}, Case{"busy", 2, busy, 1}, Case{"busy", 3, busy, 1}, Case{"busy", 8, busy, 1}, Case{"luck", 2, luck, 1},
                          Case{"one of eight", 8, one_of_eight_busy, 8}, Case{"uneven", 4, uneven, 4}}) {
        now += 10;
        Pace pace(c.threads, now);
        int right = 0;
        for (int i = 0; i < 50; ++i) right += active_after(pace, now, 0.1, c.machine) == c.expected;
        if (right < 45) fail(std::string(c.what) + " on " + std::to_string(c.threads) + ": " + std::to_string(right) + " of 50");
        CHECK(active_after(pace, now, 8, quiet) == c.threads);
    }
}

TEST(a_new_program_starts_with_what_the_others_know) {
    double now = 5000;
    const Machine busy{[](int threads) { return threads == 1 ? 4.0 : 20.0; }, [](int threads) { return threads == 1 ? 0.0 : 17.0; }};
    Pace first(2, now);
    CHECK(first.active() == 2);
    active_after(first, now, 0.1, busy);
    CHECK(Pace(2, now).active() == 1 && Pace(2, now + 10).active() == 2);
    Pace second(2, now);
    CHECK(active_after(second, now, 8, {idle, nothing}) == 2);
}

}  // namespace
}  // namespace pellucid::test
