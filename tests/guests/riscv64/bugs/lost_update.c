/* Lost update: harts add to a plain counter, and additions vanish.
 *
 * The bug. `counter = counter + 1` is a load, an addition and a store. If another hart stores between the
 * load and the store, its addition is overwritten.
 *
 *     step   hart 0                        hart 1                       counter
 *       1    load counter  -> 7                                            7
 *       2                                  load counter  -> 7              7
 *       3                                  store counter <- 8              8
 *       4    store counter <- 8                                            8     (two additions, one counted)
 *
 * The fix. One AMOADD loads, adds and stores with nothing in between.
 */
#include "cantus.h"

#define ROUNDS 100

static OWN_PAGE volatile uint64_t counter;

static void add_one(void) {
#ifdef FIXED
    __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
#else
    counter = counter + 1;
#endif
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (unsigned round = 0; round < ROUNDS; round++) {
        think(random_next(&random) % 512);
        add_one();
    }
    all_harts_barrier();

    if (hart == 0) {
        uint64_t expected = (uint64_t)harts * ROUNDS;
        if (counter != expected)
            fail(1, "lost_update: %u harts added %u each, but the counter says %lu instead of %lu", harts,
                 ROUNDS, counter, expected);
        pass("lost_update: the counter says %lu", counter);
    }
}
