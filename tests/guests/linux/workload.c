/* What threads and processes of Linux meet through, each part with a check of its own result.
 *
 *   workload THREADS SCALE      rounds are divided by SCALE (1 to 10)
 *
 * Prints a line for each part, and ends with status 1 if one failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256

static int threads;
static long scale;

static long rounds(long full)
{
    return (full + scale - 1) / scale;
}

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

/* Runs a function on all threads, each of which gets its number. */
static void together(void *(*function)(void *))
{
    pthread_t ids[THREADS_MAX];
    for (long i = 0; i < threads; i++)
        require(pthread_create(&ids[i], NULL, function, (void *)i) == 0, "cannot make a thread");
    for (int i = 0; i < threads; i++)
        require(pthread_join(ids[i], NULL) == 0, "cannot join a thread");
}

/* ---- A counter under a mutex, one of atomics, one under a lock of LR/SC ------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counted;
static atomic_long added;
static atomic_long swapped;

static void *count(void *number)
{
    (void)number;
    for (long i = 0; i < rounds(1000); i++) {
        pthread_mutex_lock(&mutex);
        counted++;
        pthread_mutex_unlock(&mutex);
        atomic_fetch_add(&added, 3);
        long old = atomic_load(&swapped);
        while (!atomic_compare_exchange_weak(&swapped, &old, old + 5))
            ;
    }
    return NULL;
}

static int counters(void)
{
    together(count);
    long each = rounds(1000) * threads;
    return counted == each && added == 3 * each && swapped == 5 * each;
}

/* ---- A bounded buffer with two condition variables ---------------------------------------------------------------- */

#define SLOTS 8

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t not_full, not_empty;
    long items[SLOTS];
    int first, held;
    long taken, sum;
} buffer = {.mutex = PTHREAD_MUTEX_INITIALIZER,
            .not_full = PTHREAD_COND_INITIALIZER,
            .not_empty = PTHREAD_COND_INITIALIZER};

/* Even threads put, odd ones take; one that is alone does both by turns. */
static void *put_or_take(void *argument)
{
    long number = (long)argument, total = rounds(200) * (threads / 2);
    for (long i = 1; number % 2 == 0 && i <= rounds(200); i++) {
        pthread_mutex_lock(&buffer.mutex);
        while (buffer.held == SLOTS)
            pthread_cond_wait(&buffer.not_full, &buffer.mutex);
        buffer.items[(buffer.first + buffer.held++) % SLOTS] = i;
        pthread_cond_signal(&buffer.not_empty);
        pthread_mutex_unlock(&buffer.mutex);
    }
    while (number % 2 == 1) {
        pthread_mutex_lock(&buffer.mutex);
        while (buffer.held == 0 && buffer.taken < total)
            pthread_cond_wait(&buffer.not_empty, &buffer.mutex);
        int over = buffer.taken == total;
        if (!over) {
            buffer.sum += buffer.items[buffer.first];
            buffer.first = (buffer.first + 1) % SLOTS;
            buffer.held--;
            if (++buffer.taken == total)
                pthread_cond_broadcast(&buffer.not_empty);
            pthread_cond_signal(&buffer.not_full);
        }
        pthread_mutex_unlock(&buffer.mutex);
        if (over)
            break;
    }
    return NULL;
}

static int conditions(void)
{
    int all = threads;
    threads = all < 2 ? 2 : all - all % 2;
    together(put_or_take);
    long n = rounds(200), pairs = threads / 2;
    threads = all;
    return buffer.taken == n * pairs && buffer.sum == pairs * n * (n + 1) / 2;
}

/* ---- Barriers: nobody is a phase ahead ------------------------------------------------------------------------------ */

static pthread_barrier_t barrier;
static atomic_long phase_of[THREADS_MAX];
static atomic_long out_of_phase;

static void *step(void *argument)
{
    long number = (long)argument;
    for (long phase = 1; phase <= rounds(20); phase++) {
        atomic_store_explicit(&phase_of[number], phase, memory_order_relaxed);
        pthread_barrier_wait(&barrier);
        if (atomic_load_explicit(&phase_of[(number + 1) % threads], memory_order_relaxed) != phase)
            out_of_phase++;
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static int barriers(void)
{
    require(pthread_barrier_init(&barrier, NULL, (unsigned)threads) == 0, "no barrier");
    together(step);
    return out_of_phase == 0;
}

/* ---- A lock made of futex calls ---------------------------------------------------------------------------------------
 * 0 free, 1 held, 2 held and perhaps awaited: the third lock of U. Drepper, "Futexes Are Tricky" (2011). */

static atomic_int futex_word;
static long under_futex;

static void futex(int operation, int value)
{
    syscall(SYS_futex, &futex_word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void *lock_by_futex(void *number)
{
    (void)number;
    for (long i = 0; i < rounds(400); i++) {
        int seen = 0;
        if (!atomic_compare_exchange_strong(&futex_word, &seen, 1)) {
            if (seen != 2)
                seen = atomic_exchange(&futex_word, 2);
            while (seen != 0) {
                futex(FUTEX_WAIT, 2);
                seen = atomic_exchange(&futex_word, 2);
            }
        }
        under_futex++;
        if (atomic_fetch_sub(&futex_word, 1) != 1) {
            atomic_store(&futex_word, 0);
            futex(FUTEX_WAKE, 1);
        }
    }
    return NULL;
}

static int futexes(void)
{
    together(lock_by_futex);
    return under_futex == rounds(400) * threads;
}

/* ---- Readers and writers: both halves are equal whenever a reader looks ------------------------------------------------ */

static pthread_rwlock_t halves_lock = PTHREAD_RWLOCK_INITIALIZER;
static long left_half, right_half;
static atomic_long torn;

static void *read_or_write(void *argument)
{
    for (long i = 0; i < rounds(200); i++) {
        if ((i + (long)argument) % 8 == 0) {
            pthread_rwlock_wrlock(&halves_lock);
            left_half++;
            right_half++;
        } else {
            pthread_rwlock_rdlock(&halves_lock);
            torn += left_half != right_half;
        }
        pthread_rwlock_unlock(&halves_lock);
    }
    return NULL;
}

static int readers(void)
{
    together(read_or_write);
    return torn == 0 && left_half == right_half && left_half > 0;
}

/* ---- Processes: a ring of pipes, and a shared mapping ------------------------------------------------------------------- */

#define PROCESSES 4

struct shared {
    atomic_long sum;
    pthread_mutex_t mutex;
    long plain;
};

static int processes(void)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(shared != MAP_FAILED, "no shared memory");
    pthread_mutexattr_t between_processes;
    pthread_mutexattr_init(&between_processes);
    pthread_mutexattr_setpshared(&between_processes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &between_processes);
    int pipes[PROCESSES][2];
    for (int i = 0; i < PROCESSES; i++)
        require(pipe(pipes[i]) == 0, "no pipe");
    fflush(stdout);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        require(child >= 0, "no process");
        if (child != 0)
            continue;
        for (long round = 0; round < rounds(40); round++) {
            long token;
            if (read(pipes[i][0], &token, sizeof token) != sizeof token)
                _exit(1);
            atomic_fetch_add(&shared->sum, token);
            pthread_mutex_lock(&shared->mutex);
            shared->plain += token;
            pthread_mutex_unlock(&shared->mutex);
            token++;
            if (write(pipes[(i + 1) % PROCESSES][1], &token, sizeof token) != sizeof token)
                _exit(1);
        }
        _exit(0);
    }
    long token = 1;
    require(write(pipes[0][1], &token, sizeof token) == sizeof token, "cannot start the ring");
    int well = 0, status;
    for (int i = 0; i < PROCESSES; i++)
        well += wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    for (int i = 0; i < PROCESSES; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    long n = rounds(40) * PROCESSES;
    int right = well == PROCESSES && shared->sum == n * (n + 1) / 2 && shared->plain == shared->sum;
    munmap(shared, sizeof *shared);
    return right;
}

/* ---- Mappings: pages that come, are forbidden, are copied on write, and go ------------------------------------------------ */

static volatile sig_atomic_t forbidden;
static char *volatile guarded;
static long page;

static void allow(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    forbidden += info->si_addr == guarded;
    mprotect(guarded, (size_t)page, PROT_READ | PROT_WRITE);
}

static void *map_and_unmap(void *argument)
{
    long number = (long)argument;
    for (long i = 0; i < rounds(20); i++) {
        size_t size = (size_t)page * 8;
        unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(memory != MAP_FAILED, "no memory");
        for (size_t at = 0; at < size; at += (size_t)page / 2)
            torn += memory[at] != 0;
        memset(memory, (int)number + 1, size);
        torn += memory[size - 1] != (unsigned char)(number + 1);
        munmap(memory, size);
    }
    return NULL;
}

static int mappings(void)
{
    page = sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = allow, .sa_flags = SA_SIGINFO};
    require(sigaction(SIGSEGV, &action, NULL) == 0, "no handler");
    guarded = mmap(NULL, (size_t)page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(guarded != MAP_FAILED, "no memory");
    for (long i = 0; i < rounds(20); i++) {
        *guarded = (char)i;
        mprotect(guarded, (size_t)page, PROT_READ);
    }
    signal(SIGSEGV, SIG_DFL);
    int well = forbidden == rounds(20);
    torn = 0;
    /* A child's writes are its own. */
    mprotect(guarded, (size_t)page, PROT_READ | PROT_WRITE);
    *(volatile long *)guarded = 1234;
    fflush(stdout);
    pid_t child = fork();
    require(child >= 0, "no process");
    if (child == 0) {
        *(volatile long *)guarded = 5678;
        _exit(*(volatile long *)guarded == 5678 ? 0 : 1);
    }
    int status;
    well &= waitpid(child, &status, 0) == child && status == 0 && *(volatile long *)guarded == 1234;
    munmap(guarded, (size_t)page);
    together(map_and_unmap);
    return well && torn == 0;
}

/* ---- Timers and events ------------------------------------------------------------------------------------------------- */

static sem_t slept;
static int events;

static void *sleep_and_post(void *number)
{
    (void)number;
    for (int i = 0; i < 5; i++) {
        struct timespec begin, end, pause = {.tv_nsec = 1000000};
        clock_gettime(CLOCK_MONOTONIC, &begin);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &end);
        long passed = (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
        uint64_t one = 1;
        if (passed >= 1000000 && write(events, &one, sizeof one) == sizeof one)
            sem_post(&slept);
    }
    return NULL;
}

static int timers(void)
{
    sem_init(&slept, 0, 0);
    events = eventfd(0, 0);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    require(events >= 0 && timer >= 0, "no events or no timers");
    struct itimerspec every = {.it_interval.tv_nsec = 2000000, .it_value.tv_nsec = 2000000};
    require(timerfd_settime(timer, 0, &every, NULL) == 0, "the timer does not start");
    together(sleep_and_post);
    uint64_t expirations, woken;
    int well = read(timer, &expirations, sizeof expirations) == sizeof expirations && expirations > 0;
    well &= read(events, &woken, sizeof woken) == sizeof woken && woken == 5u * (unsigned)threads;
    int posted;
    sem_getvalue(&slept, &posted);
    close(timer);
    close(events);
    return well && posted == 5 * threads;
}

static const struct {
    const char *name;
    int (*run)(void);
} PARTS[] = {
    {"counters", counters}, {"conditions", conditions}, {"barriers", barriers}, {"futexes", futexes},
    {"readers", readers},   {"processes", processes},   {"mappings", mappings}, {"timers", timers},
};

int main(int argc, char **argv)
{
    threads = argc > 1 ? atoi(argv[1]) : 4;
    scale = argc > 2 ? atol(argv[2]) : 1;
    if (threads < 1 || threads > THREADS_MAX || scale < 1 || scale > 10) {
        fprintf(stderr, "usage: workload THREADS(1..%d) SCALE(1..10)\n", THREADS_MAX);
        return 64;
    }
    int failed = 0;
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        int well = PARTS[i].run();
        printf("%-10s %s\n", PARTS[i].name, well ? "ok" : "FAILED");
        failed |= !well;
    }
    return failed;
}
