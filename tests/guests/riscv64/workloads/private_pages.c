/* Every hart reads and writes pages that no other hart touches.
 *
 * A round adds to every word of 4 pages: about 10,000 instructions, 2,048 loads and as many stores.
 */
#include "cantus.h"

#define PAGES 4
#define WORDS (PAGES * PAGE_SIZE / sizeof(uint64_t))

volatile uint64_t work_rounds = 40;

static NOINIT OWN_PAGE volatile uint64_t pages[HARTS_MAX][WORDS];

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    volatile uint64_t *own = pages[hart];
    for (size_t i = 0; i < WORDS; i++)
        own[i] = i;
    all_harts_barrier();
    for (uint64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < WORDS; i++)
            own[i] = own[i] + hart + 1;
    for (size_t i = 0; i < WORDS; i++)
        if (own[i] != i + rounds * (hart + 1))
            fail(1, "private_pages: word %lu of hart %u is %lu", i, hart, own[i]);
    all_harts_barrier();

    if (hart == 0)
        pass("private_pages: %lu rounds over %u pages of each of %u harts", rounds, PAGES, harts);
}
