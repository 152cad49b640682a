/* Harts take pieces of work from one queue, under a lock, and meet at a barrier when all is done. Each piece is some
 * thousand instructions on memory of its own. A round is 64 pieces, however many harts share them.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 4;

#define PIECES 64
#define WORDS 256

static OWN_PAGE struct {
    spinlock lock;
    uint32_t next;
} queue;

static NOINIT OWN_PAGE uint64_t words[PIECES][WORDS];
static OWN_PAGE volatile uint64_t results[PIECES];

static uint64_t work(uint64_t *piece, uint64_t seed) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < WORDS; i++)
        piece[i] = random_next(&seed);
    for (unsigned distance = 1; distance < WORDS; distance *= 2)
        for (unsigned i = 0; i + distance < WORDS; i++)
            sum += piece[i] ^ piece[i + distance];
    return sum;
}

/* The number of a piece that nobody has yet, or PIECES. */
static uint32_t take(void) {
    spinlock_acquire(&queue.lock);
    uint32_t piece = queue.next;
    if (piece < PIECES)
        queue.next = piece + 1;
    spinlock_release(&queue.lock);
    return piece;
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    all_harts_barrier();
    uint64_t begin = csr_read(time);
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (uint32_t piece = take(); piece < PIECES; piece = take())
            results[piece] = work(words[piece], round * PIECES + piece + 1);
        all_harts_barrier();
        if (hart == 0) {
            for (unsigned piece = 0; piece < PIECES; piece++)
                sum = sum * 3 + results[piece];
            queue.next = 0;
        }
        all_harts_barrier();
    }
    if (hart == 0)
        pass("work_queue: %lu rounds, result %lx, %lu ticks", rounds, sum, csr_read(time) - begin);
}
