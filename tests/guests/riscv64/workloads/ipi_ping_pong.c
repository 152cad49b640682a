/* Pairs of harts wake each other by software interrupts, and sleep (WFI) in between.
 *
 * The interrupt is never taken: WFI ends because it is pending, and the hart takes the doorbell back itself.
 * A message is a number that both count. An odd hart out sleeps from the beginning; so does everybody at the
 * end.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 300;

struct mailbox {
    volatile uint64_t message;
} OWN_LINE;

static struct mailbox mailboxes[HARTS_MAX];
static OWN_LINE uint32_t pairs_done;

static void send(unsigned hart, uint64_t message) {
    mailboxes[hart].message = message;
    ipi_send(hart);
}

static void receive(unsigned hart, uint64_t expected) {
    while ((csr_read(mip) & MIE_SOFTWARE) == 0)
        wait_for_interrupt();
    ipi_clear(hart);
    uint64_t message = mailboxes[hart].message;
    if (message != expected)
        fail(1, "ipi_ping_pong: hart %u received %lu instead of %lu", hart, message, expected);
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    unsigned partner = hart ^ 1;
    csr_set(mie, MIE_SOFTWARE);
    if (partner < harts) {
        for (uint64_t round = 1; round <= rounds; round++) {
            if (hart % 2 == 0)
                send(partner, round);
            receive(hart, round);
            if (hart % 2 == 1)
                send(partner, round);
        }
    }

    if (hart % 2 == 0 && __atomic_add_fetch(&pairs_done, 1, __ATOMIC_ACQ_REL) == (harts + 1) / 2)
        pass("ipi_ping_pong: %u pairs, %lu times to and fro", harts / 2, rounds);
}
