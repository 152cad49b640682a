/* Every hart sleeps until its timer interrupt, again and again. A round is one tick of 1,000 units of mtime.
 * */
#include "cantus.h"

#define TICK 1000

volatile uint64_t work_rounds = 20;

struct clock {
    volatile uint64_t ticks;
    volatile uint64_t due; /* when the next tick is due, in units of mtime */
} OWN_LINE;

static struct clock clocks[HARTS_MAX];
static OWN_LINE uint32_t harts_done;

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    unsigned hart = hart_id();
    if (cause != CAUSE_TIMER)
        fail(127, "timer: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    uint64_t now = *CLINT_MTIME;
    if (now < clocks[hart].due)
        fail(1, "timer: hart %u was woken at %lu, before %lu", hart, now, clocks[hart].due);
    clocks[hart].ticks += 1;
    clocks[hart].due += TICK;
    CLINT_MTIMECMP[hart] = clocks[hart].due;
    return pc;
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    clocks[hart].due = *CLINT_MTIME + TICK;
    CLINT_MTIMECMP[hart] = clocks[hart].due;
    csr_set(mie, MIE_TIMER);
    /* Between the look at the ticks and WFI, an interrupt may be pending but must not be taken: see
     * lost_wakeup. */
    while (clocks[hart].ticks < rounds) {
        wait_for_interrupt();
        csr_set(mstatus, MSTATUS_MIE);
        csr_clear(mstatus, MSTATUS_MIE);
    }
    csr_write(mie, 0);

    if (__atomic_add_fetch(&harts_done, 1, __ATOMIC_ACQ_REL) == harts)
        pass("timer: %lu ticks on each of %u harts", rounds, harts);
}
