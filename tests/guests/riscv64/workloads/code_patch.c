/* Self-modifying code across harts: one hart rewrites a function, and all harts call it.
 *
 * The patching hart stores the new instructions and lets the others pass a barrier; each then executes
 * FENCE.I, as the specification asks of every hart that is to execute what another stored. Harts take turns
 * at patching.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 40;

#define RETURN 0x00008067u /* jalr x0, 0(ra) */

/* addi a0, x0, number; of the number, 11 bits fit without a sign */
static uint32_t load_immediate(uint32_t number) {
    return (number & 0x7ff) << 20 | 10 << 7 | 0x13;
}

static OWN_PAGE volatile uint32_t code[2];

static uint64_t call_code(void) {
    uint64_t (*function)(void) = (uint64_t (*)(void))(uintptr_t)code;
    return function();
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        if (round % harts == hart) {
            code[0] = load_immediate(round);
            code[1] = RETURN;
        }
        all_harts_barrier();
        asm volatile("fence.i" ::: "memory");
        uint64_t returned = call_code();
        if (returned != (round & 0x7ff))
            fail(1, "code_patch: hart %u ran old code: it returned %lu in round %lu", hart, returned, round);
        all_harts_barrier();
    }

    if (hart == 0)
        pass("code_patch: %u harts ran %lu versions of a function", harts, rounds);
}
