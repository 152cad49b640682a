/* A reference count drops to zero twice: an object is freed, and then freed again.
 *
 * All harts hold a reference to an object. Whoever drops the last reference frees the object.
 *
 * The bug. drop() lowers the count, and then looks at it to see whether it was the last. When two harts have
 * lowered it before either looks, both see zero.
 *
 *     step   hart 0                              hart 1                              references
 *       1    AMOADD references, -1  (2 -> 1)                                           1
 *       2                                        AMOADD references, -1  (1 -> 0)       0
 *       3                                        load references -> 0: free            0
 *       4    load references -> 0: free                                                0     (freed twice)
 *
 * By step 4 the object may be somebody else's: hart 0 uses it after it was freed, and frees it under its new
 * owner.
 *
 * The fix. The AMOADD itself says what the count was: exactly one hart sees it go from 1 to 0. Its .aqrl
 * makes what every hart did with the object come before the object's end.
 */
#include "cantus.h"

#define ROUNDS 100
#define ALIVE 0x600d0b1ec7ul
#define FREED 0xdeadul

struct object {
    volatile uint32_t references;
    volatile uint64_t content;
};

static OWN_PAGE struct object object;

/* What an allocator with a check for double frees does. */
static void free_object(unsigned hart, unsigned round) {
    uint64_t before = __atomic_exchange_n(&object.content, FREED, __ATOMIC_ACQ_REL);
    if (before == FREED)
        fail(1, "reference_count: hart %u frees the object of round %u, which was freed already", hart,
             round);
}

static void drop(unsigned hart, unsigned round) {
#ifdef FIXED
    bool last = __atomic_fetch_sub(&object.references, 1, __ATOMIC_ACQ_REL) == 1;
#else
    __atomic_fetch_sub(&object.references, 1, __ATOMIC_ACQ_REL);
    bool last = object.references == 0;
#endif
    if (last)
        free_object(hart, round);
}

static void use(unsigned hart, unsigned round) {
    if (object.content != ALIVE)
        fail(1, "reference_count: hart %u uses the object of round %u, which was freed already", hart, round);
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (hart == 0) {
            object.references = harts;
            object.content = ALIVE;
        }
        all_harts_barrier();
        use(hart, round);
        think(random_next(&random) % 64);
        use(hart, round);
        drop(hart, round);
        all_harts_barrier();
    }

    if (hart == 0)
        pass("reference_count: %u objects were freed once each", ROUNDS);
}
