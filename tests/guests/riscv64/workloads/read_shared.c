/* Hart 0 fills a table once; then every hart reads all of it again and again.
 *
 * A round reads 8,192 words: about 30,000 instructions.
 */
#include "cantus.h"

#define PAGES 16
#define WORDS (PAGES * PAGE_SIZE / sizeof(uint64_t))

volatile uint64_t work_rounds = 15;

static NOINIT OWN_PAGE volatile uint64_t table[WORDS];
static uint64_t table_sum;

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    if (hart == 0) {
        uint64_t random = random_seed(0);
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t value = random_next(&random);
            table[i] = value;
            table_sum += value;
        }
    }
    all_harts_barrier();
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < WORDS; i++)
            sum += table[i];
    if (sum != rounds * table_sum)
        fail(1, "read_shared: hart %u added up %lx instead of %lx", hart, sum, rounds * table_sum);
    all_harts_barrier();

    if (hart == 0)
        pass("read_shared: %u harts read %u pages %lu times each", harts, PAGES, rounds);
}
