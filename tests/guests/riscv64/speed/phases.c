/* Harts compute in phases, with a barrier after each: every hart works on a strip of a field of its own, and reads the
 * edges of its neighbours' strips. A round is two phases.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 20;

#define CELLS 512

struct strip {
    uint64_t cells[2][CELLS];
} OWN_PAGE;

static NOINIT struct strip strips[HARTS_MAX];

static void phase(unsigned hart, unsigned from) {
    const struct strip *left = &strips[(hart + harts - 1) % harts], *right = &strips[(hart + 1) % harts];
    const uint64_t *old = strips[hart].cells[from];
    uint64_t *new = strips[hart].cells[1 - from];
    new[0] = old[0] + (left->cells[from][CELLS - 1] ^ old[1] >> 1);
    for (unsigned i = 1; i < CELLS - 1; i++)
        new[i] = old[i] + (old[i - 1] ^ old[i + 1] >> 1);
    new[CELLS - 1] = old[CELLS - 1] + (old[CELLS - 2] ^ right->cells[from][0] >> 1);
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    uint64_t random = random_seed(hart);
    for (unsigned i = 0; i < CELLS; i++)
        strips[hart].cells[0][i] = random_next(&random);
    all_harts_barrier();
    uint64_t begin = csr_read(time);
    for (uint64_t round = 0; round < rounds; round++)
        for (unsigned from = 0; from < 2; from++) {
            phase(hart, from);
            all_harts_barrier();
        }
    if (hart == 0) {
        uint64_t ticks = csr_read(time) - begin, sum = 0;
        for (unsigned i = 0; i < harts; i++)
            for (unsigned j = 0; j < CELLS; j++)
                sum = sum * 3 + strips[i].cells[0][j];
        pass("phases: %lu rounds, result %lx, %lu ticks", rounds, sum, ticks);
    }
}
