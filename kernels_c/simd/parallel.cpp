// A team of threads that helps whoever calls, and never keeps the caller waiting for a thread that is not
// running.
//
// The work is cut into pieces. Each member owns a run of them, so that the next call finds them in the same
// core's caches, and who is done with his own takes from the others: a helper that comes late, or not at all,
// costs only what it would have done (so do rayon's and ONNX Runtime's pools; OpenMP's loops end with a barrier
// at which every thread must arrive). What the caller still waits for is pieces that somebody has begun. A
// helper that has lost its core in the middle of one would be back in a scheduler's slice, 3 ms or more: its
// clock stands still, and then the caller lends it its own core until the piece is done.
//
// Helpers look for work for some 50 us and then sleep. They are woken, and first of all created, only for as
// much work as makes the cost small: what the caller has done alone counts. As the system likes to wake a thread
// on the core of the one that wakes it, a helper that finds itself there leaves, once and for all.
//
// OpenMP only says how many threads there should be.
#include "parallel.h"

#ifdef _OPENMP
#include <immintrin.h>
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <thread>

namespace {

/* Which job it is of, and a member's pieces of it that nobody has begun, [next, end), in one word: a piece is
   taken by adding one to the word that was read, which fails when any of the three has changed. */
struct Ticket {
    static constexpr size_t MOST = 0xffff;  // pieces
    uint64_t word;
    static Ticket of(uint32_t job, size_t next, size_t end) {
        return {uint64_t{job} << 32 | end << 16 | next};
    }
    size_t end() const { return word >> 16 & MOST; }
    size_t next() const { return word & MOST; }
};

/* Of MXCSR, a thread's floating-point state (Intel SDM vol. 1, 10.2.3): the exceptions that have occurred,
   and those that do not trap. The rest says how to round, and whether subnormals are zeros. */
constexpr unsigned OCCURRED = 0x3f, MASKED = 0x1f80;

/* Integers: here, too, nothing may round, occur or trap that is not the caller's. */
int64_t nanoseconds(clockid_t clock) {
    timespec now;
    return clock_gettime(clock, &now) == 0 ? int64_t{now.tv_sec} * 1000000000 + now.tv_nsec : 0;
}

/* Sleeps until woken, if `word` is still `expected`. Linux: futex(2). */
void sleep_on(std::atomic<uint32_t> &word, uint32_t expected) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void wake_all(std::atomic<uint32_t> &word) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

/* The cores of this process, read when the library is loaded: the calling thread's, and those that OpenMP has
   places on, as OMP_PROC_BIND pins the first thread to one of them. */
const cpu_set_t &cores() {
    static const cpu_set_t all = [] {
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
        int ids[CPU_SETSIZE];
        for (int place = 0; place < omp_get_num_places(); ++place) {
            const int count = omp_get_place_num_procs(place);
            if (count > CPU_SETSIZE) continue;
            omp_get_place_proc_ids(place, ids);
            for (int i = 0; i < count; ++i) CPU_SET(static_cast<size_t>(ids[i]), &set);
        }
        return set;
    }();
    return all;
}

/* Until done() or, at the most, so many looks: 20-50 ns each. */
template <class Done>
bool spin(Done done, unsigned looks) {
    for (unsigned i = 0; i < looks; ++i) {
        if (done()) return true;
        _mm_pause();
    }
    return false;
}

class Team {
public:
    /* Whether anybody will help with so much work: those who are awake, or all if it is worth getting them. */
    bool will_help(size_t work) {
        const int asleep = asleep_.load(std::memory_order_relaxed);
        const int helpers = helpers_.load(std::memory_order_relaxed);
        const size_t alone = alone_.load(std::memory_order_relaxed) + work;
        const auto sleepers = static_cast<size_t>(asleep > 1 ? asleep : 1);
        const bool is_worth_it = alone >= (helpers > 0 ? sleepers * WORTH_WAKING : WORTH_HIRING);
        const bool all_awake = helpers > 0 && asleep == 0;
        alone_.store(is_worth_it || all_awake ? 0 : alone, std::memory_order_relaxed);
        if (is_worth_it) wake_.store(true, std::memory_order_relaxed);
        return is_worth_it || asleep < helpers;
    }

    void run(size_t count, int threads, void (*function)(const void *, size_t), const void *body) {
        // Alone also where another thread has the team: there are no cores left to use.
        if (count > Ticket::MOST || busy_.exchange(true, std::memory_order_acquire)) {
            for (size_t i = 0; i < count; ++i) function(body, i);
            return;
        }
        hire(threads < MOST ? threads - 1 : MOST - 1);
        function_.store(function, std::memory_order_relaxed);
        body_.store(body, std::memory_order_relaxed);
        const unsigned state = _mm_getcsr();
        state_.store(state & ~OCCURRED, std::memory_order_relaxed);
        occurred_.store(state & OCCURRED, std::memory_order_relaxed);
        caller_core_.store(sched_getcpu(), std::memory_order_relaxed);
        unfinished_.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
        const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
        const size_t hired = size_t{1} + static_cast<size_t>(helpers_.load());
        const size_t wanted = static_cast<size_t>(threads),
                     members = wanted < hired ? wanted : hired;
        members_of_job_.store(members, std::memory_order_relaxed);
        for (size_t m = 0; m < members; ++m)
            members_[m].ticket.store(
                Ticket::of(job, count * m / members, count * (m + 1) / members).word,
                std::memory_order_release);
        job_.store(job);
        if (wake_.exchange(false) && asleep_.load() > 0) wake_all(job_);
        work_as(0);
        wait_for_helpers();
        _mm_setcsr(state | occurred_.load(std::memory_order_relaxed));
        busy_.store(false, std::memory_order_release);
    }

private:
    static constexpr int MOST = 256;  // members
    /* How often a helper looks for a new job before it sleeps: calls in a loop find it awake. */
    static constexpr unsigned PATIENCE = 2000;
    /* And the caller, between two looks at the clock of one that it waits for: some 15 us. */
    static constexpr unsigned LOOK = 500;
    /* Work, in units of what is just worth a second thread that is awake (some 3 us), that makes it worth
       waking a helper, which costs the caller 3 to 5 us, and creating the first ones, some 50 us in all. */
    static constexpr size_t WORTH_WAKING = 32, WORTH_HIRING = 200;

    struct alignas(64) Member {
        std::atomic<uint64_t> ticket{0};
        // Of helpers:
        std::atomic<pid_t> thread{0};
        std::atomic<clockid_t> clock{0};   // of the time that it has run
        std::atomic<bool> at_work{false};  // and may be in a piece
        std::atomic<bool> lent_core{false};
    };

    /* With every signal blocked but those of a thread's own faults: what is sent to the process is for
       the threads that its program knows of, one of which may wait for it in sigwait. */
    void hire(int helpers) {
        if (helpers_ >= helpers) return;
        sigset_t blocked, before;
        sigfillset(&blocked);
        const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        for (const int fault : faults) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        try {
            for (; helpers_ < helpers; ++helpers_)
                std::thread([this, m = helpers_ + 1] { help(static_cast<size_t>(m)); }).detach();
        } catch (...) {  // no more threads to be had: fewer will do
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void help(size_t m) {
        Member &self = members_[m];
        clockid_t clock;
        if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
            self.clock.store(clock, std::memory_order_relaxed);
        self.thread.store(static_cast<pid_t>(syscall(SYS_gettid)));
        uint32_t seen = 0;
        for (;;) {
            if (!spin([&] { return job_.load() != seen; }, PATIENCE)) {
                asleep_.fetch_add(1);
                while (job_.load() == seen) sleep_on(job_, seen);
                asleep_.fetch_sub(1);
            }
            seen = job_.load();
            const int core = caller_core_.load(std::memory_order_relaxed);
            if (sched_getcpu() == core) leave(core);
            self.at_work.store(true);
            work_as(m);
            self.at_work.store(false);
        }
    }

    /* To any other core that the process has, for good. */
    static void leave(int core) {
        cpu_set_t others = cores();
        CPU_CLR(static_cast<size_t>(core), &others);
        if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
    }

    /* Takes pieces until none is left, the own ones first. What is read before a piece is taken belongs to its
       job: function_, body_, state_ and members_of_job_ change only when every piece of a job is finished. */
    void work_as(size_t m) {
        const size_t members = members_of_job_.load(std::memory_order_relaxed);
        for (size_t i = 0; i < members; ++i) {
            std::atomic<uint64_t> &owner = members_[(m + i) % members].ticket;
            Ticket ticket{owner.load(std::memory_order_acquire)};
            while (ticket.next() < ticket.end()) {
                if (m >= members_of_job_.load(std::memory_order_relaxed)) return;
                const auto function = function_.load(std::memory_order_relaxed);
                const void *const body = body_.load(std::memory_order_relaxed);
                const unsigned state = state_.load(std::memory_order_relaxed);
                if (!owner.compare_exchange_weak(ticket.word, ticket.word + 1)) continue;
                _mm_setcsr(state);
                function(body, ticket.next());
                occurred_.fetch_or(_mm_getcsr() & OCCURRED, std::memory_order_relaxed);
                unfinished_.fetch_sub(1);
                if (caller_sleeps_.load()) wake_all(unfinished_);
                ticket.word = owner.load(std::memory_order_acquire);
            }
        }
    }

    void wait_for_helpers() {
        const auto done = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
        const auto helpers = static_cast<size_t>(helpers_.load());
        while (!spin(done, LOOK)) {
            int64_t ran[MOST];
            for (size_t m = 1; m <= helpers; ++m) ran[m] = running_time(members_[m]);
            const int64_t start = nanoseconds(CLOCK_MONOTONIC);
            if (spin(done, LOOK)) return;
            const int64_t half = (nanoseconds(CLOCK_MONOTONIC) - start) / 2;
            for (size_t m = 1; m <= helpers && !done(); ++m)
                if (ran[m] > 0 && running_time(members_[m]) - ran[m] < half)
                    lend_core_to(members_[m]);
        }
    }

    /* Of a helper that may be in a piece: nanoseconds; 0 of others. */
    static int64_t running_time(const Member &member) {
        return member.at_work.load() ? nanoseconds(member.clock.load(std::memory_order_relaxed))
                                     : 0;
    }

    /* Until a piece is finished, most likely its own. */
    void lend_core_to(const Member &member) {
        const uint32_t unfinished = unfinished_.load();
        const pid_t thread = member.thread.load();
        cpu_set_t here, before;
        CPU_ZERO(&here);
        CPU_SET(static_cast<size_t>(sched_getcpu()), &here);
        if (unfinished == 0 || sched_getaffinity(thread, sizeof before, &before) != 0) return;
        caller_sleeps_.store(true);
        if (sched_setaffinity(thread, sizeof here, &here) == 0) {
            sleep_on(unfinished_, unfinished);
            sched_setaffinity(thread, sizeof before, &before);
        }
        caller_sleeps_.store(false);
    }

    // One line for a call that stays alone.
    alignas(64) std::atomic<bool> busy_{false};
    std::atomic<int> helpers_{0}, asleep_{0};
    std::atomic<size_t> alone_{0};   // work done without those who sleep
    std::atomic<bool> wake_{false};  // those who sleep, for the next job
    alignas(64) std::atomic<void (*)(const void *, size_t)> function_{nullptr};
    std::atomic<const void *> body_{nullptr};
    std::atomic<size_t> members_of_job_{1};
    std::atomic<unsigned> state_{0};  // the caller's MXCSR
    std::atomic<int> caller_core_{-1};
    alignas(64) std::atomic<uint32_t> job_{0};
    alignas(64) std::atomic<uint32_t> unfinished_{0};
    std::atomic<unsigned> occurred_{0};
    std::atomic<bool> caller_sleeps_{false};
    Member members_[MOST];  // the caller first
};

/* Never destroyed: helpers may outlive the end of main. Built anew in a forked child, which has none of
   the parent's threads and perhaps a lock of theirs. */
alignas(Team) unsigned char storage[sizeof(Team)];
Team *team = new (storage) Team;
void renew_team() { team = new (storage) Team; }
const int registered = pthread_atfork(nullptr, nullptr, renew_team);
const int core_count = (cores(), omp_get_num_procs());

}  // namespace

int team_size(void) {
    // A trap must come in the thread that wants it.
    const bool traps = (_mm_getcsr() & MASKED) != MASKED;
    if (registered != 0 || omp_in_parallel() || traps) return 1;
    const int wanted = omp_get_max_threads();
    return wanted < core_count ? wanted : core_count;
}

int threads_for(size_t work) { return work > 0 && team->will_help(work) ? team_size() : 1; }

void run_in_team(size_t count, int threads, void (*run)(const void *, size_t), const void *body) {
    team->run(count, threads, run, body);
}
#else
int team_size(void) { return 1; }
int threads_for(size_t) { return 1; }
#endif
