/* Peterson's algorithm with its two stores in the wrong order: both harts enter.
 *
 * Peterson's algorithm keeps two harts out of each other's way with plain loads and stores. A hart that wants
 * to enter says so (wants[me] = 1), then lets the other go first (turn = other), and waits while the other
 * wants to enter and it is the other's turn.
 *
 * The bug. The hart gives the turn away before it says that it wants to enter. A hart that stops between the
 * two stores has given its turn away without being seen, and the other gives it back.
 *
 *     step   hart 0                        hart 1                     turn wants[0] wants[1]
 *       1    store turn <- 1                                           1      0        0
 *       2                                  store turn <- 0             0      0        0
 *       3                                  store wants[1] <- 1         0      0        1
 *       4                                  load wants[0] -> 0: enters  0      0        1
 *       5    store wants[0] <- 1                                       0      1        1
 *       6    load wants[1] -> 1                                        0      1        1
 *       7    load turn -> 0 (mine): enters                             0      1        1    (both are inside)
 *
 * The fix. First wants[me], then turn. The algorithm needs its stores to be seen before its loads are done,
 * which hardware does not promise: hence the full fence between them, and acquire and release around the
 * section.
 *
 * Harts work in pairs: 0 with 1, 2 with 3. An odd hart out does nothing.
 */
#include "cantus.h"

#define ROUNDS 200

struct pair {
    volatile uint32_t wants[2];
    volatile uint32_t turn;
    volatile uint32_t inside; /* 1 + which of the two is inside, or 0; guarded by the lock that the rest is */
} OWN_LINE;

static struct pair pairs[HARTS_MAX / 2 + 1];

static void enter(struct pair *pair, unsigned me) {
    unsigned other = 1 - me;
#ifdef FIXED
    pair->wants[me] = 1;
    fence_full();
    pair->turn = other;
#else
    pair->turn = other;
    fence_full();
    pair->wants[me] = 1;
#endif
    fence_full();
    while (pair->wants[other] != 0 && pair->turn == other)
        pause();
    fence_acquire();
}

static void leave(struct pair *pair, unsigned me) {
    store_release(&pair->wants[me], 0);
}

static void critical_section(struct pair *pair, unsigned hart, uint64_t turns) {
    unsigned me = hart % 2;
    pair->inside = me + 1;
    think(turns);
    if (pair->inside != me + 1)
        fail(1, "peterson: hart %u is inside, and so is hart %u", hart, hart ^ 1);
    pair->inside = 0;
}

void main(unsigned hart) {
    struct pair *pair = &pairs[hart / 2];
    unsigned rounds = (hart ^ 1) < harts ? ROUNDS : 0;
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (unsigned round = 0; round < rounds; round++) {
        think(random_next(&random) % 64);
        enter(pair, hart % 2);
        critical_section(pair, hart, random_next(&random) % 32);
        leave(pair, hart % 2);
    }
    all_harts_barrier();

    if (hart == 0)
        pass("peterson: %u pairs of harts, %u times each, one hart of a pair at a time", harts / 2, ROUNDS);
}
