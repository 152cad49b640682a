/* What the programs that are timed have in common: harts do the same work, each on memory of its own, and must come to
 * the same result. The line at the end says how long that took by the guest's clock, which ticks ten million times a
 * second.
 */
#pragma once
#include "cantus.h"

/* Harts beyond these do nothing. */
#define WORKING_MAX 16

/* Repetitions of the work. */
extern volatile uint64_t work_rounds;

/* Does the work, and gives a number that depends on all of it. */
uint64_t compute(unsigned hart, uint64_t rounds);

/* The program's name. */
extern const char program[];

static OWN_PAGE volatile uint64_t results[WORKING_MAX];

void main(unsigned hart) {
    all_harts_barrier();
    uint64_t begin = csr_read(time);
    if (hart < WORKING_MAX)
        results[hart] = compute(hart, work_rounds);
    all_harts_barrier();
    if (hart != 0)
        return;
    uint64_t ticks = csr_read(time) - begin;
    unsigned working = harts < WORKING_MAX ? harts : WORKING_MAX;
    for (unsigned other = 1; other < working; other++)
        if (results[other] != results[0])
            fail(1, "%s: hart %u came to %lx, hart 0 to %lx", program, other, results[other], results[0]);
    pass("%s: %lu rounds, result %lx, %lu ticks", program, work_rounds, results[0], ticks);
}
