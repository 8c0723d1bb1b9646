// Packing buffers that outlive the call, so that a hot product allocates nothing.
#pragma once

#include <stddef.h>
#include <stdlib.h>

/* One thread's buffer: grows to the largest request, freed when the thread ends. */
class Workspace {
public:
    /* At least `bytes`, aligned to 64; nullptr when there is no memory. */
    void *reserve(size_t bytes) {
        if (bytes <= size_) return data_;
        free(data_);
        size_ = (bytes + 63) / 64 * 64;
        data_ = aligned_alloc(64, size_);
        if (data_ == nullptr) size_ = 0;
        return data_;
    }
    Workspace() = default;
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
    ~Workspace() { free(data_); }

private:
    void *data_ = nullptr;
    size_t size_ = 0;
};
