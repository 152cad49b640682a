/* One hart changes a page table while the others read through it (Sv39, supervisor mode).
 *
 * A virtual page, the window, is mapped to one of four frames. In every round, hart 0 writes the round's
 * number into the next frame, maps the window to it, and has every hart drop its old translation: it rings
 * their doorbells, their handlers execute SFENCE.VMA, and it waits for their answers. Only then does it
 * announce the round. A hart that reads the window may thus see the announced round or the next one, which is
 * being mapped, but never an older one.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 30;

#define FRAMES 4
#define ENTRIES (PAGE_SIZE / sizeof(uint64_t))

/* Bits of a page-table entry. Accessed and dirty are set beforehand, for machines that trap instead of
 * setting them. */
enum { VALID = 1, READ = 2, WRITE = 4, EXECUTE = 8, ACCESSED = 64, DIRTY = 128 };
#define LEAF (VALID | READ | WRITE | ACCESSED | DIRTY)

/* The window is the first page of the second gigabyte; the first (devices) and third (RAM) are mapped as they
 * are. */
#define WINDOW ((volatile uint64_t *)0x40000000ul)
#define GIGABYTE (1ul << 30)

static OWN_PAGE volatile uint64_t root_table[ENTRIES];
static OWN_PAGE volatile uint64_t middle_table[ENTRIES];
static OWN_PAGE volatile uint64_t leaf_table[ENTRIES];
static NOINIT OWN_PAGE volatile uint64_t frames[FRAMES][ENTRIES];

static OWN_PAGE volatile uint64_t announced;
static OWN_PAGE volatile uint32_t answers;

static uint64_t entry(uintptr_t address, uint64_t bits) {
    return address >> 12 << 10 | bits;
}

static void map_window(uint64_t round) {
    volatile uint64_t *frame = frames[round % FRAMES];
    frame[0] = round;
    fence_release();
    leaf_table[0] = entry((uintptr_t)frame, LEAF);
}

static void drop_translation(void) {
    asm volatile("sfence.vma %0, zero" ::"r"(WINDOW) : "memory");
}

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    if (cause != CAUSE_SOFTWARE)
        fail(127, "paging: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    ipi_clear(hart_id());
    drop_translation();
    __atomic_fetch_add(&answers, 1, __ATOMIC_RELEASE);
    return pc;
}

static void change_mappings(uint64_t rounds) {
    for (uint64_t round = 1; round <= rounds; round++) {
        answers = 0;
        map_window(round);
        fence_full();
        drop_translation();
        for (unsigned other = 1; other < harts; other++)
            ipi_send(other);
        while (load_acquire(&answers) != harts - 1)
            pause();
        if (WINDOW[0] != round)
            fail(1, "paging: hart 0 reads %lu in round %lu", WINDOW[0], round);
        store_release(&announced, round);
    }
    pass("paging: %u harts read through %lu mappings of one page", harts, rounds);
}

static void read_window(unsigned hart) {
    for (;;) {
        uint64_t before = load_acquire(&announced);
        uint64_t seen = WINDOW[0];
        fence_acquire();
        uint64_t after = announced;
        if (seen < before || seen > after + 1)
            fail(1, "paging: hart %u reads %lu, though round %lu was announced before and %lu after", hart,
                 seen, before, after);
    }
}

static void supervisor_main(unsigned hart) {
    if (hart == 0)
        change_mappings(work_rounds);
    else
        read_window(hart);
}

/* Leaves machine mode; never comes back. The stack stays. */
static void enter_supervisor_mode(unsigned hart) {
    csr_write(pmpaddr0, ~0ul >> 10); /* supervisor mode may do everything everywhere: one NAPOT region, RWX */
    csr_write(pmpcfg0, 0x1f);
    csr_write(satp, 8ul << 60 | (uintptr_t)root_table >> 12);
    asm volatile("sfence.vma" ::: "memory");
    csr_clear(mstatus, 3ul << 11);
    csr_set(mstatus, 1ul << 11); /* mstatus.MPP = supervisor */
    csr_write(mepc, supervisor_main);
    asm volatile("mv a0, %0\n"
                 "mret" ::"r"((uint64_t)hart)
                 : "a0", "memory");
}

void main(unsigned hart) {
    if (hart == 0) {
        root_table[0] = entry(0, LEAF);
        root_table[1] = entry((uintptr_t)middle_table, VALID);
        root_table[2] = entry(2 * GIGABYTE, LEAF | EXECUTE);
        middle_table[0] = entry((uintptr_t)leaf_table, VALID);
        map_window(0);
    }
    all_harts_barrier();
    csr_set(mie, MIE_SOFTWARE);
    enter_supervisor_mode(hart);
}
