// While one of these lives, small blocks that a thread gives up are kept for the next run (see allocation.cpp).
#pragma once

namespace pellucid {

class BlocksKept {
public:
    BlocksKept();
    ~BlocksKept();
    BlocksKept(const BlocksKept&) = delete;
    BlocksKept& operator=(const BlocksKept&) = delete;
};

}  // namespace pellucid
