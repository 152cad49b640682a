/* Every hart takes the same spinlock again and again to add to the same counter, with a little private work
 * in between. */
#include "cantus.h"

volatile uint64_t work_rounds = 1000;

static OWN_PAGE spinlock lock;
static OWN_PAGE volatile uint64_t counter;

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (uint64_t round = 0; round < rounds; round++) {
        spinlock_acquire(&lock);
        counter = counter + 1;
        spinlock_release(&lock);
        think(random_next(&random) % 32);
    }
    all_harts_barrier();

    if (hart == 0) {
        if (counter != harts * rounds)
            fail(1, "contended_lock: the counter says %lu instead of %lu", counter, harts * rounds);
        pass("contended_lock: %u harts took the lock %lu times each", harts, rounds);
    }
}
