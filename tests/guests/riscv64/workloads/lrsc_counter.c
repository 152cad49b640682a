/* Every hart adds to one counter by load-reserved and store-conditional. A round is one addition. */
#include "cantus.h"

volatile uint64_t work_rounds = 1000;

static OWN_PAGE volatile uint64_t counter;
static OWN_PAGE volatile uint64_t failures;

/* Adds one to the counter; says how often the store-conditional failed. */
static uint64_t add_one(void) {
    uint64_t retries = 0;
    uint64_t value, failed;
    for (;;) {
        asm volatile("lr.d %0, %2\n"
                     "addi %0, %0, 1\n"
                     "sc.d %1, %0, %2"
                     : "=&r"(value), "=&r"(failed), "+A"(counter)
                     :
                     : "memory");
        if (failed == 0)
            return retries;
        retries += 1;
    }
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    uint64_t random = random_seed(hart);
    uint64_t retries = 0;
    all_harts_barrier();
    for (uint64_t round = 0; round < rounds; round++) {
        retries += add_one();
        think(random_next(&random) % 32);
    }
    __atomic_fetch_add(&failures, retries, __ATOMIC_RELAXED);
    all_harts_barrier();

    if (hart == 0) {
        if (counter != harts * rounds)
            fail(1, "lrsc_counter: the counter says %lu instead of %lu", counter, harts * rounds);
        pass("lrsc_counter: the counter says %lu, after %lu failed store-conditionals", counter, failures);
    }
}
