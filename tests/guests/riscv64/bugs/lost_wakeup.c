/* Lost wake-up: an interrupt arrives between the look into the mailbox and the sleep, and nobody wakes the
 * sleeper.
 *
 * Two harts pass a message to and fro. A hart that has nothing to do sleeps (WFI) until the other rings its
 * doorbell (a software interrupt). The interrupt handler only takes the doorbell back; the message is in the
 * mailbox.
 *
 * The bug. The hart looks into its mailbox, finds nothing, and goes to sleep. If the doorbell rings in
 * between, the handler takes it back, and WFI sleeps with the message in the mailbox.
 *
 *     step   hart 0                              hart 1                        mailbox[0] doorbell[0]
 *       1    load mailbox[0] -> empty                                            empty      0
 *       2                                        store mailbox[0] <- message     message    0
 *       3                                        store doorbell[0] <- 1          message    1
 *       4    interrupt: store doorbell[0] <- 0                                   message    0
 *       5    WFI                                                                 message    0
 *       6                                        WFI, waiting for the answer     message    0    (both sleep)
 *
 * The fix. Interrupts are not taken between the look and the sleep. WFI ends when an interrupt is *pending*,
 * taken or not, so a doorbell that rings too early makes WFI end at once; then the handler may run.
 *
 * A machine in which this happens does not end: every hart sleeps, and nothing is left that could wake one.
 * Harts work in pairs: 0 with 1, 2 with 3. An odd hart out sleeps from the beginning.
 */
#include "cantus.h"

#define ROUNDS 100

struct mailbox {
    volatile uint32_t message; /* 0 is no message */
} OWN_LINE;

static struct mailbox mailboxes[HARTS_MAX];
static OWN_LINE uint32_t pairs_done;

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    if (cause != CAUSE_SOFTWARE)
        fail(127, "lost_wakeup: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    ipi_clear(hart_id());
    return pc;
}

static void send(unsigned hart, uint32_t message) {
    mailboxes[hart].message = message;
    ipi_send(hart);
}

static uint32_t receive(unsigned hart) {
#ifdef FIXED
    csr_clear(mstatus, MSTATUS_MIE);
    while (mailboxes[hart].message == 0) {
        wait_for_interrupt();
        csr_set(mstatus, MSTATUS_MIE); /* the handler runs here */
        csr_clear(mstatus, MSTATUS_MIE);
    }
    csr_set(mstatus, MSTATUS_MIE);
#else
    while (mailboxes[hart].message == 0)
        wait_for_interrupt();
#endif
    fence_acquire();
    uint32_t message = mailboxes[hart].message;
    mailboxes[hart].message = 0;
    return message;
}

void main(unsigned hart) {
    unsigned partner = hart ^ 1;
    uint64_t random = random_seed(hart);
    if (partner >= harts)
        return;
    csr_set(mie, MIE_SOFTWARE);
    csr_set(mstatus, MSTATUS_MIE);

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        if (hart % 2 == 0)
            send(partner, round);
        uint32_t message = receive(hart);
        if (message != round)
            fail(2, "lost_wakeup: hart %u received message %u instead of %u", hart, message, round);
        think(random_next(&random) % 64);
        if (hart % 2 == 1)
            send(partner, message);
    }

    if (hart % 2 == 0 && __atomic_add_fetch(&pairs_done, 1, __ATOMIC_ACQ_REL) == harts / 2)
        pass("lost_wakeup: %u messages, each answered", ROUNDS * (harts / 2));
}
