// A team of threads that helps whoever calls, and never keeps the caller waiting for a thread that has
// not come: the work is handed out piece by piece, the caller takes pieces like everyone else, and what
// it waits for at the end is only pieces that somebody has begun. OpenMP's own loops end with a barrier
// at which every thread must arrive, so that with a busy neighbour a call of microseconds can last a
// scheduling quantum (8-16 ms measured). OpenMP still says how many threads there should be.
#include "parallel.h"

#ifdef _OPENMP
#include <immintrin.h>
#include <omp.h>
#include <pthread.h>
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

namespace {

/* Which job, how many pieces it has and which is next, in one word: a piece is taken by adding one to
   the word that was read, which fails when any of the three has changed. */
struct Ticket {
    uint64_t word;
    static Ticket first(uint32_t job, size_t count) { return {uint64_t{job} << 32 | count << 16}; }
    uint32_t job() const { return static_cast<uint32_t>(word >> 32); }
    size_t count() const { return word >> 16 & 0xffff; }
    size_t next() const { return word & 0xffff; }
};

class Team {
public:
    void run(size_t count, int threads, void (*function)(const void *, size_t), const void *body) {
        if (!busy_.try_lock()) {  // another thread has the team: there are no cores left to use
            for (size_t i = 0; i < count; ++i) function(body, i);
            return;
        }
        hire(threads - 1);
        function_.store(function, std::memory_order_relaxed);
        body_.store(body, std::memory_order_relaxed);
        unfinished_.store(count, std::memory_order_relaxed);
        const uint32_t job = Ticket{ticket_.load(std::memory_order_relaxed)}.job() + 1;
        ticket_.store(Ticket::first(job, count).word);
        if (asleep_.load() > 0) {
            const std::lock_guard<std::mutex> hold(sleep_);
            wake_.notify_all();
        }
        work();
        while (unfinished_.load(std::memory_order_acquire) > 0) _mm_pause();
        busy_.unlock();
    }

private:
    /* Looks for a new job this many times, some 50 us, before it sleeps: calls in a loop find it
       awake, and waking it costs as long. */
    static constexpr int PATIENCE = 2000;

    void hire(int helpers) {
        for (; helpers_ < helpers; ++helpers_) {
            try {
                std::thread([this] { help(); }).detach();
            } catch (...) {  // no more threads to be had: fewer will do
                return;
            }
        }
    }

    void help() {
        uint32_t seen = 0;
        for (;;) {
            for (int i = 0; i < PATIENCE && current_job() == seen; ++i) _mm_pause();
            if (current_job() == seen) {
                std::unique_lock<std::mutex> hold(sleep_);
                asleep_.fetch_add(1);
                wake_.wait(hold, [&] { return current_job() != seen; });
                asleep_.fetch_sub(1);
            }
            seen = current_job();
            work();
        }
    }

    uint32_t current_job() const { return Ticket{ticket_.load()}.job(); }

    /* Takes pieces until none is left. function_ and body_ change only when every piece of a job is
       finished, so what was read before a piece was taken belongs to it. */
    void work() {
        Ticket ticket{ticket_.load(std::memory_order_acquire)};
        while (ticket.next() < ticket.count()) {
            const auto function = function_.load(std::memory_order_relaxed);
            const void *const body = body_.load(std::memory_order_relaxed);
            if (!ticket_.compare_exchange_weak(ticket.word, ticket.word + 1)) continue;
            function(body, ticket.next());
            unfinished_.fetch_sub(1, std::memory_order_release);
            ticket.word = ticket_.load(std::memory_order_acquire);
        }
    }

    std::mutex busy_;
    int helpers_ = 0;
    std::atomic<void (*)(const void *, size_t)> function_{nullptr};
    std::atomic<const void *> body_{nullptr};
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<size_t> unfinished_{0};
    alignas(64) std::atomic<int> asleep_{0};
    std::mutex sleep_;
    std::condition_variable wake_;
};

/* Never destroyed: helpers may outlive the end of main. Built anew in a forked child, which has none of
   the parent's threads and perhaps a lock of theirs. */
alignas(Team) unsigned char storage[sizeof(Team)];
Team *team = new (storage) Team;
void renew_team() { team = new (storage) Team; }
const int registered = pthread_atfork(nullptr, nullptr, renew_team);
const int cores = omp_get_num_procs();

}  // namespace

int available_threads(void) {
    if (registered != 0 || omp_in_parallel()) return 1;
    const int wanted = omp_get_max_threads();
    return wanted < cores ? wanted : cores;
}

void run_in_team(size_t count, int threads, void (*run)(const void *, size_t), const void *body) {
    team->run(count, threads, run, body);
}
#else
int available_threads(void) { return 1; }
#endif
