/* Double-checked initialisation that publishes the flag before the data: a hart uses what is not there yet.
 *
 * A table is filled by the first hart that needs it. Whoever comes later sees from a flag that it is there,
 * and does not need the lock; only who finds the flag down takes the lock and checks again.
 *
 * The bug. The flag goes up before the table is filled. A hart that needs no lock then reads a table that is
 * still empty.
 *
 *     step   hart 0                           hart 1                          ready table
 *       1    load ready -> 0, takes the lock                                    0    empty
 *       2    load ready -> 0                                                    0    empty
 *       3    store ready <- 1                                                   1    empty
 *       4                                     load ready -> 1: no lock needed   1    empty
 *       5                                     load table[0] -> 0                1    empty   (used too early)
 *       6    store table[0] <- ...                                              1    filled
 *
 * The fix. First the table, then the flag, which is stored with release and loaded with acquire, so that
 * hardware keeps that order too.
 */
#include "cantus.h"

#define TABLES 40
#define ENTRIES 6

struct table {
    volatile uint32_t ready;
    volatile uint32_t entries[ENTRIES];
};

static OWN_PAGE struct table tables[TABLES];
static OWN_PAGE spinlock initialising;

static uint32_t entry(unsigned table, unsigned index) {
    return 1000 * (table + 1) + index;
}

static void fill(unsigned table) {
    for (unsigned index = 0; index < ENTRIES; index++)
        tables[table].entries[index] = entry(table, index);
}

static struct table *get(unsigned table) {
    if (load_acquire(&tables[table].ready) == 0) {
        spinlock_acquire(&initialising);
        if (tables[table].ready == 0) {
#ifdef FIXED
            fill(table);
            store_release(&tables[table].ready, 1);
#else
            tables[table].ready = 1;
            fill(table);
#endif
        }
        spinlock_release(&initialising);
    }
    return &tables[table];
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    all_harts_barrier();
    for (unsigned table = 0; table < TABLES; table++) {
        think(random_next(&random) % 1024);
        struct table *found = get(table);
        for (unsigned index = 0; index < ENTRIES; index++) {
            uint32_t seen = found->entries[index];
            if (seen != entry(table, index))
                fail(1, "double_checked: hart %u read %u from entry %u of table %u, which seems to be ready",
                     hart, seen, index, table);
        }
    }
    all_harts_barrier();

    if (hart == 0)
        pass("double_checked: no hart saw any of %u tables before it was filled", TABLES);
}
