// oneDNN's parallel regions on our own threads.
//
// oneDNN was compiled for GNU OpenMP, whose threads wait as they were told when the process loaded it, by whatever came first.
// Its calls of OpenMP are led to the functions here, which are OpenMP as far as oneDNN uses it.
#pragma once

namespace pellucid {

// Whether oneDNN's calls come here. They do not where it calls what is missing here; it then has one thread.
bool serves_onednn();

// Threads of a region that the calling thread starts in oneDNN.
int region_threads();
void set_region_threads(int threads);

// Within its life the shares of regions that the calling thread starts in oneDNN wait for one another, or for nothing.
class Shares {
public:
    explicit Shares(bool bound);
    ~Shares();
    Shares(const Shares&) = delete;
    Shares& operator=(const Shares&) = delete;

private:
    bool before_;
};

}  // namespace pellucid
