/* Every hart adds to a counter of its own, but the counters lie side by side: 8 in a line, all in one page.
 * */
#include "cantus.h"

volatile uint64_t work_rounds = 20000;

static OWN_PAGE volatile uint64_t counters[HARTS_MAX];

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    all_harts_barrier();
    for (uint64_t round = 0; round < rounds; round++)
        counters[hart] = counters[hart] + 1;
    all_harts_barrier();

    if (hart == 0) {
        for (unsigned other = 0; other < harts; other++)
            if (counters[other] != rounds)
                fail(1, "false_sharing: hart %u counted to %lu instead of %lu", other, counters[other],
                     rounds);
        pass("false_sharing: %u harts counted to %lu", harts, rounds);
    }
}
