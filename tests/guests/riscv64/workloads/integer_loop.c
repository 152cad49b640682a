/* Integer arithmetic in registers: how fast a core runs when nothing else is in its way.
 *
 * Every hart computes the same sequence; all must come to the same result. About 10 instructions a round.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 50000;

static OWN_PAGE volatile uint64_t results[HARTS_MAX];

static uint64_t compute(uint64_t rounds) {
    uint64_t state = random_seed(0);
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++)
        sum = sum * 5 + random_next(&state);
    return sum;
}

void main(unsigned hart) {
    results[hart] = compute(work_rounds);
    all_harts_barrier();

    if (hart == 0) {
        for (unsigned other = 1; other < harts; other++)
            if (results[other] != results[0])
                fail(1, "integer_loop: hart %u computed %lx, hart 0 %lx", other, results[other], results[0]);
        pass("integer_loop: %lu rounds, result %lx", work_rounds, results[0]);
    }
}
