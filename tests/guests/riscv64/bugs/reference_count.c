/* A reference count drops to zero twice: an object is freed, and then freed again.
 *
 * There are some objects, and every hart holds a reference to each. It works with one after the other, and
 * drops its reference to each when it is done with it. Whoever drops the last reference frees the object.
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

#define OBJECTS 150
#define ALIVE 0x600d0b1ec7ul
#define FREED 0xdeadul

struct object {
    volatile uint32_t references;
    volatile uint64_t content;
};

static OWN_PAGE struct object objects[OBJECTS];

/* What an allocator with a check for double frees does. */
static void free_object(unsigned hart, unsigned number) {
    uint64_t before = __atomic_exchange_n(&objects[number].content, FREED, __ATOMIC_ACQ_REL);
    if (before == FREED)
        fail(1, "reference_count: hart %u frees object %u, which was freed already", hart, number);
}

/* Lowers the count; says what it was before. */
static __attribute__((noinline)) uint32_t lower_references(unsigned number) {
    return __atomic_fetch_sub(&objects[number].references, 1, __ATOMIC_ACQ_REL);
}

#ifndef FIXED
static __attribute__((noinline)) bool is_unreferenced(unsigned number) {
    return objects[number].references == 0;
}
#endif

static void drop(unsigned hart, unsigned number) {
#ifdef FIXED
    if (lower_references(number) == 1)
        free_object(hart, number);
#else
    lower_references(number);
    if (is_unreferenced(number))
        free_object(hart, number);
#endif
}

static void use(unsigned hart, unsigned number) {
    if (objects[number].content != ALIVE)
        fail(2, "reference_count: hart %u uses object %u, which was freed already", hart, number);
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    if (hart == 0) {
        for (unsigned number = 0; number < OBJECTS; number++) {
            objects[number].references = harts;
            objects[number].content = ALIVE;
        }
    }
    all_harts_barrier();
    for (unsigned number = 0; number < OBJECTS; number++) {
        think(random_next(&random) % 128);
        use(hart, number);
        drop(hart, number);
    }
    all_harts_barrier();

    if (hart == 0) {
        for (unsigned number = 0; number < OBJECTS; number++)
            if (objects[number].content != FREED)
                fail(2, "reference_count: object %u was never freed", number);
        pass("reference_count: %u objects were freed once each", OBJECTS);
    }
}
