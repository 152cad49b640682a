/* All harts meet at a barrier again and again; between two meetings each sees what the others did before the
 * first. */
#include "cantus.h"

volatile uint64_t work_rounds = 50;

/* The last round that each hart has begun. */
static OWN_PAGE volatile uint64_t begun[HARTS_MAX];

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    for (uint64_t round = 1; round <= rounds; round++) {
        begun[hart] = round;
        all_harts_barrier();
        uint64_t neighbour = begun[(hart + 1) % harts];
        if (neighbour != round)
            fail(1, "barrier: hart %u is in round %lu, its neighbour in round %lu", hart, round, neighbour);
        all_harts_barrier();
    }

    if (hart == 0)
        pass("barrier: %u harts met %lu times", harts, 2 * rounds);
}
