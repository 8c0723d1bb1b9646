// Packing buffers that outlive the call, so that a hot product allocates nothing.
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

/* One thread's buffer: grows to the largest request, freed when the thread ends. */
class Workspace {
public:
    /* At least `bytes`, aligned to a cache line, on huge pages where it is large and the system has
       them; nullptr when there is no memory. */
    void *reserve(size_t bytes) {
        if (bytes <= size_) return data_;
        free(data_);
        const size_t align = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
        size_ = (bytes + align - 1) / align * align;
        data_ = aligned_alloc(align, size_);
        if (data_ == nullptr) size_ = 0;
#ifdef MADV_HUGEPAGE
        // Only advice: where it is not taken the product is a few percent slower.
        else if (align == HUGE_PAGE)
            madvise(data_, size_, MADV_HUGEPAGE);
#endif
        return data_;
    }
    Workspace() = default;
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
    ~Workspace() { free(data_); }

private:
    static constexpr size_t HUGE_PAGE = 2 << 20;
    void *data_ = nullptr;
    size_t size_ = 0;
};
