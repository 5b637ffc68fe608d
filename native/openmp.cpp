#include "openmp.hpp"

#include <dnnl.h>
#include <elf.h>
#include <link.h>
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "team.hpp"

namespace pellucid {
namespace {

// A loop that a region's threads share, as this thread goes through it.
struct Loop {
    long start, end, step, chunk, turn;
};

// The innermost region that the calling thread is in.
struct Region {
    int number = 0, size = 1;
    Team* team = nullptr;
    Loop loop{};
};

struct Call {
    void (*function)(void*);
    void* data;
    int size;
    Team* team;
};

thread_local Region region, outer;
thread_local int inside = 0;  // regions of one thread within `outer`
thread_local Call call;
thread_local int threads = 1;
thread_local bool bound = true;

void do_share(const void* data, int number) {
    const Call mine = *static_cast<const Call*>(data);
    const Region before = region;
    region = {number, mine.size, mine.team, {}};
    mine.function(mine.data);
    region = before;
}

void parallel_start(void (*function)(void*), void* data, unsigned wanted) {
    const int size = std::min(wanted ? int(wanted) : threads, team() ? team()->size() : 1);
    if (size == 1 || region.team || inside) {  // regions within regions have one thread
        if (!inside++) outer = std::exchange(region, {});
        return;
    }
    region = {0, size, team(), {}};
    call = {function, data, size, team()};
    team()->begin({do_share, &call, bound}, size);
}

void parallel_end() {
    if (inside) {
        if (!--inside) region = outer;
        return;
    }
    region.team->end();
    region = {};
}

void parallel(void (*function)(void*), void* data, unsigned wanted, unsigned) {
    parallel_start(function, data, wanted);
    function(data);
    parallel_end();
}

void barrier() {
    if (region.team) region.team->barrier();
}

bool loop_static_next(long* first, long* last) {
    Loop& loop = region.loop;
    const long count = (loop.end - loop.start + loop.step + (loop.step > 0 ? -1 : 1)) / loop.step, turn = loop.turn++;
    long from, to;
    if (loop.chunk) {
        from = (turn * region.size + region.number) * loop.chunk;
        to = std::min(from + loop.chunk, count);
    } else {
        if (turn) return false;
        const long each = count / region.size, more = count % region.size;
        from = each * region.number + std::min<long>(region.number, more);
        to = from + each + (region.number < more);
    }
    *first = loop.start + from * loop.step;
    *last = loop.start + to * loop.step;
    return from < to;
}

bool loop_static_start(long start, long end, long step, long chunk, long* first, long* last) {
    region.loop = {start, end, step, chunk, 0};
    return loop_static_next(first, last);
}

void loop_end_nowait() {}
int get_max_threads() { return threads; }
int get_num_threads() { return region.size; }
int get_thread_num() { return region.number; }
int in_parallel() { return region.size > 1; }

struct Served {
    const char* name;
    void* function;
};

#define SERVED(name, function) {name, reinterpret_cast<void*>(&function)}
const Served SERVED_CALLS[] = {
    SERVED("GOMP_parallel", parallel),
    SERVED("GOMP_parallel_start", parallel_start),
    SERVED("GOMP_parallel_end", parallel_end),
    SERVED("GOMP_barrier", barrier),
    SERVED("GOMP_loop_static_start", loop_static_start),
    SERVED("GOMP_loop_static_next", loop_static_next),
    SERVED("GOMP_loop_end", barrier),
    SERVED("GOMP_loop_end_nowait", loop_end_nowait),
    SERVED("omp_get_max_threads", get_max_threads),
    SERVED("omp_get_num_threads", get_num_threads),
    SERVED("omp_get_thread_num", get_thread_num),
    SERVED("omp_in_parallel", in_parallel),
};
#undef SERVED

bool is_openmp(const char* name) {
    return !std::strncmp(name, "GOMP_", 5) || !std::strncmp(name, "omp_", 4) || !std::strncmp(name, "__kmpc_", 7);
}

// Where a library keeps the address of a function that it calls.
struct Slot {
    void** place;
    void* function;
};

// The slots of all calls of OpenMP in a loaded library; whether all of them are served.
bool find_slots(const dl_phdr_info& library, std::vector<Slot>& slots) {
    const ElfW(Dyn)* dynamic = nullptr;
    for (int i = 0; i < library.dlpi_phnum; ++i)
        if (library.dlpi_phdr[i].p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const ElfW(Dyn)*>(library.dlpi_addr + library.dlpi_phdr[i].p_vaddr);
    if (!dynamic) return false;
    auto value = [&](ElfW(Sxword) tag) -> ElfW(Addr) {
        for (const auto* d = dynamic; d->d_tag != DT_NULL; ++d)
            if (d->d_tag == tag) return d->d_un.d_val;
        return 0;
    };
    auto address = [&](ElfW(Sxword) tag) {  // glibc has moved it to where the library lies, others have not
        const ElfW(Addr) at = value(tag);
        return at && at < library.dlpi_addr ? at + library.dlpi_addr : at;
    };
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(address(DT_SYMTAB));
    const auto* names = reinterpret_cast<const char*>(address(DT_STRTAB));
    const std::pair<ElfW(Addr), size_t> tables[] = {{address(DT_JMPREL), value(DT_PLTRELSZ)}, {address(DT_RELA), value(DT_RELASZ)}};
    for (const auto& [start, bytes] : tables) {
        const auto* relocations = reinterpret_cast<const ElfW(Rela)*>(start);
        for (size_t i = 0; start && i < bytes / sizeof(ElfW(Rela)); ++i) {
            const char* name = names + symbols[ELF64_R_SYM(relocations[i].r_info)].st_name;
            if (!is_openmp(name)) continue;
            const auto* served = std::find_if(std::begin(SERVED_CALLS), std::end(SERVED_CALLS), [&](const Served& s) { return !std::strcmp(s.name, name); });
            if (served == std::end(SERVED_CALLS)) return false;
            slots.push_back({reinterpret_cast<void**>(library.dlpi_addr + relocations[i].r_offset), served->function});
        }
    }
    return true;
}

bool contains(const dl_phdr_info& library, const void* address) {
    for (int i = 0; i < library.dlpi_phnum; ++i) {
        const auto& part = library.dlpi_phdr[i];
        const ElfW(Addr) start = library.dlpi_addr + part.p_vaddr, at = reinterpret_cast<ElfW(Addr)>(address);
        if (part.p_type == PT_LOAD && at >= start && at < start + part.p_memsz) return true;
    }
    return false;
}

// Whether the library is such that nothing between two addresses is written once it is loaded.
bool is_sealed(const dl_phdr_info& library, ElfW(Addr) first, ElfW(Addr) last) {
    for (int i = 0; i < library.dlpi_phnum; ++i) {
        const auto& part = library.dlpi_phdr[i];
        const ElfW(Addr) start = library.dlpi_addr + part.p_vaddr;
        if (part.p_type == PT_GNU_RELRO && first >= start && last <= start + part.p_memsz) return true;
    }
    return false;
}

// Leads the calls of the library that oneDNN's functions lie in to those above: all of them, or none.
int lead_here(dl_phdr_info* library, size_t, void* found) {
    if (!contains(*library, reinterpret_cast<const void*>(&dnnl_version))) return 0;
    std::vector<Slot> slots;
    if (!find_slots(*library, slots)) return 1;
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    for (const Slot& slot : slots) {
        const ElfW(Addr) start = reinterpret_cast<ElfW(Addr)>(slot.place) / page * page;
        void* const at = reinterpret_cast<void*>(start);
        if (mprotect(at, page, PROT_READ | PROT_WRITE)) return 1;
        *slot.place = slot.function;
        if (is_sealed(*library, start, start + page)) mprotect(at, page, PROT_READ);
    }
    *static_cast<bool*>(found) = true;
    return 1;
}

}  // namespace

bool serves_onednn() {
    static const bool served = [] {
        bool found = false;
        dl_iterate_phdr(lead_here, &found);
        return found;
    }();
    return served;
}

int region_threads() { return threads; }

void set_region_threads(int count) {
    threads = count;
    if (!serves_onednn()) omp_set_num_threads(1);
}

Shares::Shares(bool bound_now) : before_(bound) { bound = bound_now; }
Shares::~Shares() { bound = before_; }

}  // namespace pellucid
