/* Torn read: a 128-bit value is read half before and half after it was written.
 *
 * Hart 0 writes a 128-bit value whose halves are always equal. The other harts read it.
 *
 * The bug. No instruction of this machine loads or stores 128 bits. The two halves are two accesses, and a
 * reader may come between the writer's, or the writer between a reader's.
 *
 *     step   hart 0 (writes 8)                   hart 1 (reads)           low high
 *       1                                        load low -> 7              7   7
 *       2    store low <- 8                                                 8   7
 *       3    store high <- 8                                                8   8
 *       4                                        load high -> 8             8   8    (7 and 8: never written)
 *
 * The fix. A lock around both accesses, for the writer as well as for the readers.
 */
#include "cantus.h"

#define ROUNDS 200

struct wide {
    uint64_t low;
    uint64_t high;
};

static OWN_PAGE volatile struct wide shared;
#ifdef FIXED
static OWN_PAGE spinlock shared_lock;
#endif

static void write_wide(struct wide value) {
#ifdef FIXED
    spinlock_acquire(&shared_lock);
#endif
    shared.low = value.low;
    shared.high = value.high;
#ifdef FIXED
    spinlock_release(&shared_lock);
#endif
}

static struct wide read_wide(void) {
    struct wide value;
#ifdef FIXED
    spinlock_acquire(&shared_lock);
#endif
    value.low = shared.low;
    value.high = shared.high;
#ifdef FIXED
    spinlock_release(&shared_lock);
#endif
    return value;
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        think(random_next(&random) % 128);
        if (hart == 0) {
            write_wide((struct wide){.low = round, .high = round});
        } else {
            struct wide seen = read_wide();
            if (seen.low != seen.high)
                fail(1, "torn_read: hart %u read %lu and %lu, halves that were never written together", hart,
                     seen.low, seen.high);
        }
    }
    all_harts_barrier();

    if (hart == 0)
        pass("torn_read: %u reads, all of whole values", (harts - 1) * ROUNDS);
}
