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
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

namespace {

/* Which job, how many pieces it has and which is next, in one word: a piece is taken by adding one to
   the word that was read, which fails when any of the three has changed. */
struct Ticket {
    static constexpr size_t MOST = 0xffff;  // pieces
    uint64_t word;
    static Ticket first(uint32_t job, size_t count) { return {uint64_t{job} << 32 | count << 16}; }
    uint32_t job() const { return static_cast<uint32_t>(word >> 32); }
    size_t count() const { return word >> 16 & MOST; }
    size_t next() const { return word & MOST; }
};

/* Of MXCSR, a thread's floating-point state (Intel SDM vol. 1, 10.2.3): the exceptions that have occurred,
   and those that do not trap. The rest says how to round, and whether subnormals are zeros. */
constexpr unsigned OCCURRED = 0x3f, MASKED = 0x1f80;

class Team {
public:
    void run(size_t count, int threads, void (*function)(const void *, size_t), const void *body) {
        // Alone also where another thread has the team: there are no cores left to use.
        if (count > Ticket::MOST || !busy_.try_lock()) {
            for (size_t i = 0; i < count; ++i) function(body, i);
            return;
        }
        const int64_t start = nanoseconds();
        hire(threads - 1);
        function_.store(function, std::memory_order_relaxed);
        body_.store(body, std::memory_order_relaxed);
        const unsigned state = _mm_getcsr();
        state_.store(state & ~OCCURRED, std::memory_order_relaxed);
        occurred_.store(state & OCCURRED, std::memory_order_relaxed);
        unfinished_.store(count, std::memory_order_relaxed);
        const uint32_t job = Ticket{ticket_.load(std::memory_order_relaxed)}.job() + 1;
        ticket_.store(Ticket::first(job, count).word);
        if (asleep_.load() > 0) {
            const std::lock_guard<std::mutex> hold(sleep_);
            wake_.notify_all();
        }
        const size_t own = work();
        const int64_t own_end = nanoseconds();
        while (
            !wait([this] { return unfinished_.load(std::memory_order_acquire) == 0; }, PATIENCE)) {
        }
        const int64_t waited = nanoseconds() - own_end;
        _mm_setcsr(state | occurred_.load(std::memory_order_relaxed));
        // A piece of ours took (own_end - start) / own. Who needs much longer for one has been taken off
        // its core by a neighbour, who will do so again: three times as long without them costs little,
        // and much of what the wait cost is not lost a second time.
        if (waited > HELD_UP + 2 * (own_end - start) / static_cast<int64_t>(own ? own : 1))
            alone_until_.store(own_end + waited * 4, std::memory_order_relaxed);
        busy_.unlock();
    }

    /* While it lasts, calls are better off on one thread. */
    bool is_held_up() const { return alone_until_.load(std::memory_order_relaxed) > nanoseconds(); }

private:
    /* Nanoseconds by which a piece may be late. */
    static constexpr int64_t HELD_UP = 100000;
    /* How often a helper looks for a new job, some 50 us in all, before it sleeps: calls in a loop find it
       awake, and waking it costs as long. */
    static constexpr unsigned PATIENCE = 2000;

    /* Integers: here, too, nothing may round, occur or trap that is not the caller's. */
    static int64_t nanoseconds() {
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
    }

    /* Until done() or, at the most, so many looks. Now and then the core is offered to whoever else wants
       it: that may be the one who is waited for. */
    template <class Done>
    static bool wait(Done done, unsigned looks) {
        for (unsigned i = 1; i <= looks; ++i) {
            if (done()) return true;
            i % 64 ? _mm_pause() : static_cast<void>(sched_yield());
        }
        return false;
    }

    /* With every signal blocked but those of a thread's own faults: what is sent to the process is for
       the threads that its program knows of, one of which may wait for it in sigwait. */
    void hire(int helpers) {
        if (helpers_ >= helpers) return;
        sigset_t blocked, before;
        sigfillset(&blocked);
        for (const int fault : {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP})
            sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        try {
            for (; helpers_ < helpers; ++helpers_) std::thread([this] { help(); }).detach();
        } catch (...) {  // no more threads to be had: fewer will do
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void help() {
        uint32_t seen = 0;
        for (;;) {
            if (!wait([&] { return current_job() != seen; }, PATIENCE)) {
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

    /* Takes pieces until none is left; how many. function_, body_ and state_ change only when every piece of a
       job is finished, so what was read before a piece was taken belongs to it. */
    size_t work() {
        size_t taken = 0;
        Ticket ticket{ticket_.load(std::memory_order_acquire)};
        while (ticket.next() < ticket.count()) {
            const auto function = function_.load(std::memory_order_relaxed);
            const void *const body = body_.load(std::memory_order_relaxed);
            const unsigned state = state_.load(std::memory_order_relaxed);
            if (!ticket_.compare_exchange_weak(ticket.word, ticket.word + 1)) continue;
            _mm_setcsr(state);
            function(body, ticket.next());
            ++taken;
            occurred_.fetch_or(_mm_getcsr() & OCCURRED, std::memory_order_relaxed);
            unfinished_.fetch_sub(1, std::memory_order_release);
            ticket.word = ticket_.load(std::memory_order_acquire);
        }
        return taken;
    }

    std::mutex busy_;
    int helpers_ = 0;
    std::atomic<int64_t> alone_until_{0};
    std::atomic<void (*)(const void *, size_t)> function_{nullptr};
    std::atomic<const void *> body_{nullptr};
    std::atomic<unsigned> state_{0};  // the caller's MXCSR
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<size_t> unfinished_{0};
    std::atomic<unsigned> occurred_{0};
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

int team_size(void) {
    // A trap must come in the thread that wants it.
    const bool traps = (_mm_getcsr() & MASKED) != MASKED;
    if (registered != 0 || omp_in_parallel() || traps) return 1;
    const int wanted = omp_get_max_threads();
    return wanted < cores ? wanted : cores;
}

int available_threads() {
    const int size = team_size();
    return size > 1 && team->is_held_up() ? 1 : size;
}

void run_in_team(size_t count, int threads, void (*run)(const void *, size_t), const void *body) {
    team->run(count, threads, run, body);
}
#else
int team_size(void) { return 1; }
int available_threads() { return 1; }
#endif
