/* Pairs of harts: the even one puts numbers into a ring, the odd one takes them out. A round is one number.
 *
 * `head` and `tail` lie on lines of their own, the ring on others. An odd hart out does nothing.
 */
#include "cantus.h"

#define SLOTS 64

volatile uint64_t work_rounds = 4000;

struct ring {
    OWN_LINE volatile uint64_t head; /* numbers put in, moved by the producer */
    OWN_LINE volatile uint64_t tail; /* numbers taken out, moved by the consumer */
    OWN_LINE volatile uint64_t slots[SLOTS];
} OWN_PAGE;

static NOINIT struct ring rings[HARTS_MAX / 2 + 1];

static void produce(struct ring *ring, uint64_t rounds) {
    uint64_t random = random_seed(0);
    for (uint64_t head = 0; head < rounds; head++) {
        while (head - load_acquire(&ring->tail) == SLOTS)
            pause();
        ring->slots[head % SLOTS] = random_next(&random);
        store_release(&ring->head, head + 1);
    }
}

static void consume(struct ring *ring, uint64_t rounds, unsigned hart) {
    uint64_t random = random_seed(0);
    for (uint64_t tail = 0; tail < rounds; tail++) {
        while (load_acquire(&ring->head) == tail)
            pause();
        uint64_t seen = ring->slots[tail % SLOTS];
        uint64_t expected = random_next(&random);
        if (seen != expected)
            fail(1, "producer_consumer: hart %u took out %lx instead of %lx", hart, seen, expected);
        store_release(&ring->tail, tail + 1);
    }
}

void main(unsigned hart) {
    uint64_t rounds = (hart ^ 1) < harts ? work_rounds : 0;
    struct ring *ring = &rings[hart / 2];
    if (hart % 2 == 0)
        ring->head = ring->tail = 0;
    all_harts_barrier();
    if (hart % 2 == 0)
        produce(ring, rounds);
    else
        consume(ring, rounds, hart);
    all_harts_barrier();

    if (hart == 0)
        pass("producer_consumer: %u pairs, %lu numbers each", harts / 2, work_rounds);
}
