/* What every guest may use: the board's devices, ordered memory accesses, a lock, a barrier, printing, and
 * ways to end.
 *
 * A guest is one C file with `void main(unsigned hart)`, which every hart runs. The machine ends when a hart
 * calls pass() or fail(); whoever calls first decides. Shared variables that are accessed without an atomic
 * operation are declared `volatile`, so that the compiler makes exactly the loads and stores that the source
 * shows, in its order.
 */
#pragma once

typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
typedef __SIZE_TYPE__ size_t;
typedef __UINTPTR_TYPE__ uintptr_t;
#define NULL ((void *)0)
#define bool _Bool
#define true 1
#define false 0

#define HARTS_MAX 255
#define PAGE_SIZE 4096
#define LINE_SIZE 64

/* Where a variable lies matters to a machine that tracks who owns which page or line. */
#define OWN_PAGE __attribute__((aligned(PAGE_SIZE)))
#define OWN_LINE __attribute__((aligned(LINE_SIZE)))
/* Neither cleared nor loaded: for large arrays that the guest fills itself. */
#define NOINIT __attribute__((section(".noinit")))

/* ---- Harts and traps ----------------------------------------------------------------------------------- */

/* How many harts the machine has, from the device tree. */
extern unsigned harts;

void main(unsigned hart);

/* The number of the hart that asks; works in every privilege mode. */
static inline unsigned hart_id(void) {
    uint64_t tp;
    asm("mv %0, tp" : "=r"(tp));
    return tp;
}

/* Called in machine mode for every trap. Returns where to go on. A guest that expects traps defines its own;
 * the runtime's reports the trap and fails with code 127. */
uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value);

#define CAUSE_INTERRUPT (1ul << 63)
#define CAUSE_SOFTWARE (CAUSE_INTERRUPT | 3)
#define CAUSE_TIMER (CAUSE_INTERRUPT | 7)
#define CAUSE_EXTERNAL (CAUSE_INTERRUPT | 11)

/* Bits of mie and mip. */
#define MIE_SOFTWARE (1ul << 3)
#define MIE_TIMER (1ul << 7)
#define MIE_EXTERNAL (1ul << 11)
/* A bit of mstatus: interrupts are taken in machine mode. */
#define MSTATUS_MIE (1ul << 3)

#define csr_read(name)                                        \
    ({                                                        \
        uint64_t value_;                                      \
        asm volatile("csrr %0, " #name : "=r"(value_));       \
        value_;                                               \
    })
#define csr_write(name, value) asm volatile("csrw " #name ", %0" ::"rK"((uint64_t)(value)) : "memory")
#define csr_set(name, bits) asm volatile("csrs " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")
#define csr_clear(name, bits) asm volatile("csrc " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")

/* Sleeps until an interrupt that mie enables is pending, whether or not mstatus.MIE lets it be taken. */
static inline void wait_for_interrupt(void) {
    asm volatile("wfi" ::: "memory");
}

/* ---- Order (as the unprivileged specification maps C's memory model, "RVWMO explanatory material") ----- */

#define fence_full() asm volatile("fence rw, rw" ::: "memory")
#define fence_acquire() asm volatile("fence r, rw" ::: "memory")
#define fence_release() asm volatile("fence rw, w" ::: "memory")
/* Memory before device: a message must be there before the doorbell rings. And device before memory. */
#define fence_memory_to_device() asm volatile("fence rw, o" ::: "memory")
#define fence_device_to_memory() asm volatile("fence o, rw" ::: "memory")

/* A load that comes before every access after it. */
#define load_acquire(address)                         \
    ({                                                \
        __auto_type value_ = *(address);              \
        fence_acquire();                              \
        value_;                                       \
    })
/* A store that comes after every access before it. */
#define store_release(address, value) \
    do {                              \
        fence_release();              \
        *(address) = (value);         \
    } while (0)

/* A hint that this hart only waits for another. PAUSE of Zihintpause; where that is not known, a fence
 * without effect. */
static inline void pause(void) {
    asm volatile(".insn i 0x0f, 0, x0, x0, 0x10" ::: "memory");
}

/* ---- Lock and barrier ---------------------------------------------------------------------------------- */

typedef volatile uint32_t spinlock;

static inline void spinlock_acquire(spinlock *lock) {
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (*lock != 0)
            pause();
}

static inline void spinlock_release(spinlock *lock) {
    store_release(lock, 0);
}

/* A sense-reversing barrier: the last to arrive turns `sense` over, and all who wait see it turn. */
struct barrier {
    volatile uint32_t arrived;
    volatile uint32_t sense;
};

static inline void barrier_wait(struct barrier *barrier, uint32_t parties) {
    uint32_t sense = barrier->sense; /* cannot turn before this hart arrives */
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == parties) {
        barrier->arrived = 0;
        store_release(&barrier->sense, !sense);
    } else {
        while (load_acquire(&barrier->sense) == sense)
            pause();
    }
}

/* The barrier of all harts. */
void all_harts_barrier(void);

/* ---- Work ---------------------------------------------------------------------------------------------- */

/* Private work of about 2 * `turns` instructions, which touches no memory. */
static inline void think(uint64_t turns) {
    while (turns != 0) {
        turns -= 1;
        asm volatile("" : "+r"(turns));
    }
}

/* A sequence of pseudo-random numbers (xorshift64); `*state` must start at anything but zero. */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* A first state for this hart's sequence. */
static inline uint64_t random_seed(unsigned hart) {
    return 0x9e3779b97f4a7c15ul * (hart + 1);
}

/* ---- Printing and ending ------------------------------------------------------------------------------- */

/* Prints on the UART, a whole call at a time. Knows %s %c %u %d %x, each of the last three also with `l`, and
 * %%. At most 160 characters a call. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the line "<format>\n" and ends the machine with status 0. */
_Noreturn void pass(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the line "FAILED: <format>\n" and ends the machine with status `code` (1 to 255). */
_Noreturn void fail(unsigned code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the machine with `status`, through the test finisher, and prints nothing. */
_Noreturn void finish(unsigned status);

/* ---- Devices ------------------------------------------------------------------------------------------- */

#define FINISHER ((volatile uint32_t *)0x00100000ul)
#define CLINT_MSIP ((volatile uint32_t *)0x02000000ul)     /* a word a hart: bit 0 is its doorbell */
#define CLINT_MTIMECMP ((volatile uint64_t *)0x02004000ul) /* a double word a hart */
#define CLINT_MTIME ((volatile uint64_t *)0x0200bff8ul)
#define PLIC_BASE 0x0c000000ul
#define PLIC_PRIORITY(source) ((volatile uint32_t *)(PLIC_BASE + 4ul * (source)))
/* Context 2 * hart is the hart's machine mode. */
#define PLIC_ENABLE(hart) ((volatile uint32_t *)(PLIC_BASE + 0x2000 + 0x80 * (2ul * (hart))))
#define PLIC_THRESHOLD(hart) ((volatile uint32_t *)(PLIC_BASE + 0x200000 + 0x1000 * (2ul * (hart))))
#define PLIC_CLAIM(hart) ((volatile uint32_t *)(PLIC_BASE + 0x200004 + 0x1000 * (2ul * (hart))))
#define PLIC_SOURCE_UART 10
#define UART ((volatile uint8_t *)0x10000000ul)
#define UART_DATA 0
#define UART_INTERRUPT_ENABLE 1
#define UART_LINE_STATUS 5
#define UART_RECEIVED 0x01       /* of the line status: a byte can be read */
#define UART_TRANSMIT_READY 0x20 /* of the line status: a byte can be written */

/* Rings the doorbell of `hart`: what this hart wrote before is there when the interrupt arrives. */
static inline void ipi_send(unsigned hart) {
    fence_memory_to_device();
    CLINT_MSIP[hart] = 1;
}

/* Takes back the doorbell of `hart`: what its ringers wrote can be read afterwards. */
static inline void ipi_clear(unsigned hart) {
    CLINT_MSIP[hart] = 0;
    fence_device_to_memory();
}
