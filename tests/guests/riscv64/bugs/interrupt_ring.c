/* A ring buffer between an interrupt handler and the code that it interrupts: a message stays in the ring for
 * ever.
 *
 * The other harts send messages to hart 0: they put one into their port and ring hart 0's doorbell. Hart 0's
 * interrupt handler moves messages from the ports into a ring, and hart 0's main program takes them out.
 *
 * The bug. How many messages are in the ring is counted in a variable that both sides change. The main
 * program reads it, copies a message, and writes it back lowered by one. If the handler adds a message in
 * between, the count forgets it.
 *
 *     step   hart 0, main program           hart 0, interrupt handler      used
 *       1    load used -> 1                                                  1
 *       2    copies the message                                              1
 *       3                                   copies a message into the ring   1
 *       4                                   store used <- 2                  2
 *       5    store used <- 0                                                 0     (but one message is there)
 *
 * The interrupt comes from another hart: whether it comes between steps 2 and 5 is a matter of timing between
 * harts.
 *
 * The fix. Nothing is written by both sides. The handler alone moves `head`, the main program alone moves
 * `tail`, and the ring is empty when they are equal.
 */
#include "cantus.h"

#define MESSAGES_PER_HART 20
#define WORDS 3
#define SLOTS 8

struct message {
    uint64_t words[WORDS];
};

/* Where a sender leaves a message for the handler. */
struct port {
    volatile uint32_t full;
    volatile struct message message;
} OWN_LINE;

static struct port ports[HARTS_MAX];

static struct {
    volatile uint64_t head; /* messages put in since the beginning: moved by the handler */
    volatile uint64_t tail; /* messages taken out since the beginning: moved by the main program */
    volatile uint64_t used; /* messages in the ring: changed by both */
    volatile struct message slots[SLOTS];
} ring OWN_PAGE;

/* How many more messages the ring has room for. A sender takes one before it sends, so the ring never
 * overflows. */
static OWN_PAGE volatile int32_t room = SLOTS;

static void copy(volatile struct message *to, const volatile struct message *from) {
    for (unsigned i = 0; i < WORDS; i++)
        to->words[i] = from->words[i];
}

/* In the handler, which the main program cannot interrupt. */
static void ring_put(const volatile struct message *message) {
    copy(&ring.slots[ring.head % SLOTS], message);
    ring.head = ring.head + 1;
    ring.used = ring.used + 1;
}

/* In the main program, which the handler interrupts anywhere. */
static bool ring_take(struct message *message) {
#ifdef FIXED
    if (ring.head == ring.tail)
        return false;
    copy(message, &ring.slots[ring.tail % SLOTS]);
    ring.tail = ring.tail + 1;
#else
    uint64_t used = ring.used;
    if (used == 0)
        return false;
    copy(message, &ring.slots[ring.tail % SLOTS]);
    ring.tail = ring.tail + 1;
    ring.used = used - 1;
#endif
    return true;
}

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    if (cause != CAUSE_SOFTWARE)
        fail(127, "interrupt_ring: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    ipi_clear(0);
    for (unsigned hart = 1; hart < harts; hart++) {
        if (load_acquire(&ports[hart].full) != 0) {
            ring_put(&ports[hart].message);
            store_release(&ports[hart].full, 0);
        }
    }
    return pc;
}

static void send_all(unsigned hart) {
    struct port *port = &ports[hart];
    uint64_t random = random_seed(hart);
    for (uint64_t number = 0; number < MESSAGES_PER_HART; number++) {
        think(random_next(&random) % 512);
        while (__atomic_fetch_sub(&room, 1, __ATOMIC_ACQUIRE) <= 0) {
            __atomic_fetch_add(&room, 1, __ATOMIC_RELAXED);
            think(16);
        }
        while (load_acquire(&port->full) != 0)
            pause();
        port->message.words[0] = hart;
        port->message.words[1] = number;
        port->message.words[2] = hart ^ number;
        store_release(&port->full, 1);
        ipi_send(0);
    }
}

static void receive_all(void) {
    static uint64_t expected[HARTS_MAX]; /* each sender's next message */
    uint64_t total = (uint64_t)(harts - 1) * MESSAGES_PER_HART;
    csr_set(mie, MIE_SOFTWARE);
    csr_set(mstatus, MSTATUS_MIE);
    for (uint64_t received = 0; received < total;) {
        struct message message;
        uint64_t put_in = ring.head;
        if (ring_take(&message)) {
            uint64_t sender = message.words[0];
            uint64_t number = message.words[1];
            if (sender >= harts || number != expected[sender] || message.words[2] != (sender ^ number))
                fail(2, "interrupt_ring: message %lu of hart %lu came out of turn", number, sender);
            expected[sender] += 1;
            received += 1;
            __atomic_fetch_add(&room, 1, __ATOMIC_RELEASE);
        } else if (put_in != ring.tail) {
            fail(1, "interrupt_ring: %lu messages were put in and %lu taken out, but the ring seems empty",
                 put_in, ring.tail);
        }
    }
    pass("interrupt_ring: %lu messages, none lost", total);
}

void main(unsigned hart) {
    all_harts_barrier();
    if (hart == 0)
        receive_all();
    else
        send_all(hart);
}
