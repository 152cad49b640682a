/* Broken test-and-set lock: the test and the set are two steps, and two harts get the lock.
 *
 * The bug. acquire() waits until the lock is free and then takes it. Between the last test and the set,
 * another hart may test as well, and both set it.
 *
 *     step   hart 0                        hart 1                        lock
 *       1    load lock -> 0 (free)                                        0
 *       2                                  load lock -> 0 (free)          0
 *       3                                  store lock <- 1                1
 *       4                                  enters                         1
 *       5    store lock <- 1                                              1
 *       6    enters                                                       1     (two harts are inside)
 *
 * The fix. One AMOSWAP tests and sets: it stores 1 and says what was there before. Its .aq, and the fence
 * before the store that releases the lock, keep what is done inside from leaking out on hardware that
 * reorders memory accesses.
 */
#include "cantus.h"

#define ROUNDS 60

static OWN_PAGE volatile uint32_t lock;

static void acquire(void) {
#ifdef FIXED
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0)
        pause();
#else
    while (lock != 0)
        pause();
    lock = 1;
#endif
}

static void release(void) {
    store_release(&lock, 0);
}

/* Who is inside: the hart's number + 1, or 0. Only whoever holds the lock may touch it. */
static OWN_PAGE volatile uint32_t inside;

static void critical_section(unsigned hart, uint64_t turns) {
    inside = hart + 1;
    think(turns);
    uint32_t seen = inside;
    if (seen != hart + 1)
        fail(1, "test_and_set: hart %u holds the lock, but another has been inside (%u instead of %u)", hart,
             seen, hart + 1);
    inside = 0;
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (unsigned round = 0; round < ROUNDS; round++) {
        think(random_next(&random) % 64);
        acquire();
        critical_section(hart, random_next(&random) % 32);
        release();
    }
    all_harts_barrier();

    if (hart == 0)
        pass("test_and_set: %u harts were inside %u times each, one at a time", harts, ROUNDS);
}
