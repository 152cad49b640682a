/* A seqlock's reader without its second look: it uses a record that was changed while it was read.
 *
 * A seqlock lets readers read without writing anything. The writer makes a sequence number odd before it
 * changes the record and even afterwards. A reader waits for an even number, copies the record, and looks
 * whether the number is still the same; if it is not, it starts over.
 *
 * The bug. The reader trusts the first look. An even number says that nobody was writing then, not that
 * nobody began since.
 *
 *     step   hart 0 (writes 8 8 8 8)            hart 1 (reads)             sequence record
 *       1                                       load sequence -> 14 (even)   14     7 7 7 7
 *       2                                       load record[0] -> 7          14     7 7 7 7
 *       3    store sequence <- 15                                            15     7 7 7 7
 *       4    store record[0..3] <- 8                                         15     8 8 8 8
 *       5                                       load record[1] -> 8          15     8 8 8 8   (7 8 ...: torn)
 *       6    store sequence <- 16                                            16     8 8 8 8
 *
 * The fix. The second look, and the loop. The fences keep the record's accesses between the two accesses of
 * the sequence number, on both sides.
 */
#include "cantus.h"

#define ROUNDS 150
#define WORDS 4

static OWN_PAGE volatile uint64_t sequence;
static volatile uint64_t record[WORDS];

static void write_record(uint64_t value) {
    uint64_t before = sequence; /* hart 0 is the only writer */
    sequence = before + 1;
    fence_release();
    for (unsigned i = 0; i < WORDS; i++)
        record[i] = value;
    store_release(&sequence, before + 2);
}

static void read_record(uint64_t copy[WORDS]) {
    uint64_t before;
#ifdef FIXED
    do {
#endif
        while ((before = load_acquire(&sequence)) % 2 != 0)
            pause();
        for (unsigned i = 0; i < WORDS; i++)
            copy[i] = record[i];
#ifdef FIXED
        fence_acquire();
    } while (sequence != before);
#endif
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        think(random_next(&random) % 256);
        if (hart == 0) {
            write_record(round);
        } else {
            uint64_t copy[WORDS];
            read_record(copy);
            for (unsigned i = 1; i < WORDS; i++)
                if (copy[i] != copy[0])
                    fail(1, "seqlock: hart %u read a record that begins with %lu and goes on with %lu", hart,
                         copy[0], copy[i]);
        }
    }
    all_harts_barrier();

    if (hart == 0)
        pass("seqlock: %u reads, all of whole records", (harts - 1) * ROUNDS);
}
