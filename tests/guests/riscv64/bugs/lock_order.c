/* Deadlock by lock order: each of two harts holds the lock that the other waits for.
 *
 * Moving something from one drawer to the other takes both drawers' locks. Even harts move things from drawer
 * 0 to 1, odd harts from 1 to 0.
 *
 * The bug. A hart takes the lock of the drawer that it takes from first, and then the other: two orders for
 * two locks.
 *
 *     step   hart 0                              hart 1                           lock 0  lock 1
 *       1    takes lock 0                                                          hart 0  free
 *       2                                        takes lock 1                      hart 0  hart 1
 *       3                                        waits for lock 0                  hart 0  hart 1
 *       4    waits for lock 1                                                      hart 0  hart 1  (for ever)
 *
 * The fix. Every hart takes the locks in the same order, the lower number first, whatever it moves.
 *
 * The program proves its deadlock instead of hanging: a waiting hart looks whether the holder of the lock
 * that it waits for waits for a lock that it holds itself. If so, neither can ever go on. No run of the fixed
 * program comes to that.
 */
#include "cantus.h"

#define ROUNDS 50
#define THINGS 1000

struct drawer {
    volatile uint32_t owner; /* the lock: the number + 1 of the hart that holds it, or 0 */
    volatile uint64_t things;
} OWN_PAGE;

static struct drawer drawers[2];
/* The drawer + 1 whose lock the hart waits for, or 0. */
static OWN_PAGE volatile uint32_t awaited[HARTS_MAX];

/* What this hart waits for and what it holds do not change meanwhile; nor can the other hart, once it waits
 * for something that this one holds. Hence what is read here, in this order, is true at once if it is true
 * one by one. */
static void report_deadlock(unsigned hart, unsigned drawer) {
    uint32_t owner = drawers[drawer].owner;
    if (owner == 0)
        return;
    uint32_t wants = load_acquire(&awaited[owner - 1]);
    if (wants != 0 && drawers[wants - 1].owner == hart + 1 && drawers[drawer].owner == owner)
        fail(1, "lock_order: deadlock: hart %u holds lock %u and waits for %u, hart %u the other way round",
             hart, wants - 1, drawer, owner - 1);
}

static void acquire(unsigned hart, unsigned drawer) {
    store_release(&awaited[hart], drawer + 1);
    for (;;) {
        uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&drawers[drawer].owner, &nobody, hart + 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            break;
        report_deadlock(hart, drawer);
        pause();
    }
    awaited[hart] = 0;
}

static void release(unsigned drawer) {
    store_release(&drawers[drawer].owner, 0);
}

static void move(unsigned hart, unsigned from, unsigned to) {
#ifdef FIXED
    unsigned first = from < to ? from : to;
    unsigned second = from < to ? to : from;
#else
    unsigned first = from;
    unsigned second = to;
#endif
    acquire(hart, first);
    acquire(hart, second);
    drawers[from].things -= 1;
    drawers[to].things += 1;
    release(second);
    release(first);
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    if (hart == 0)
        drawers[0].things = drawers[1].things = THINGS;
    all_harts_barrier();
    for (unsigned round = 0; round < ROUNDS; round++) {
        think(random_next(&random) % 1024);
        move(hart, hart % 2, 1 - hart % 2);
    }
    all_harts_barrier();

    if (hart == 0) {
        uint64_t sum = drawers[0].things + drawers[1].things;
        if (sum != 2 * THINGS)
            fail(2, "lock_order: there are %lu things instead of %u", sum, 2 * THINGS);
        pass("lock_order: %lu things, moved %u times", sum, harts * ROUNDS);
    }
}
