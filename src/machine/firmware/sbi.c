// Cantus's own SBI firmware: machine mode for a kernel that runs in supervisor mode.
//
// Hart 0 goes straight to the kernel; the others wait until the kernel starts them. One hart asks another by setting
// bits in its struct and raising its software interrupt; whoever waits for others answers them meanwhile.
// Source: RISC-V Supervisor Binary Interface Specification 2.0; Privileged Architecture 1.12.

#include "sbi.h"

// The board.
#define CLINT 0x2000000UL
#define UART 0x10000000UL
#define FINISHER 0x100000UL
#define RAM 0x80000000UL
// Its end. What lies between this and a kernel is the kernel's: U-Boot has its first stack there.
#define FIRMWARE_END 0x80180000UL

#define FINISHER_FAIL 0x3333
#define FINISHER_PASS 0x5555
#define FINISHER_RESET 0x7777

#define ALL (~0UL)
// Beyond so many pages a fence forgets everything.
#define FENCE_PAGES_MAX 64

#define MENVCFG_STCE (1UL << 63)
#define MENVCFG_PBMTE (1UL << 62)
#define MENVCFG_CBZE (1UL << 7)
#define MENVCFG_CBCFE (1UL << 6)
#define MENVCFG_CBIE (1UL << 4)

#define MIP_SSIP (1UL << 1)
#define MIP_MSIP (1UL << 3)
#define MIP_STIP (1UL << 5)
#define MIP_MTIP (1UL << 7)
#define MIP_SEIP (1UL << 9)

#define csr_read(name) ({ u64 value_; asm volatile("csrr %0, " name : "=r"(value_)::"memory"); value_; })
#define csr_write(name, value) asm volatile("csrw " name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_set(name, value) asm volatile("csrs " name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_clear(name, value) asm volatile("csrc " name ", %0" ::"r"((u64)(value)) : "memory")

u8 harts[HARTS_MAX][HART_SIZE] __attribute__((aligned(HART_SIZE)));
static u64 harts_count;
static u64 ram_end;
static u32 has_stimecmp;

static struct hart *hart_of(u64 id) { return (struct hart *)harts[id]; }
static u64 id_of(const struct hart *hart) { return ((u64)hart - (u64)harts) / HART_SIZE; }

static u32 state_of(const struct hart *hart) { return __atomic_load_n(&hart->state, __ATOMIC_SEQ_CST) ^ STOPPED; }
static void set_state(struct hart *hart, u32 state) { __atomic_store_n(&hart->state, state ^ STOPPED, __ATOMIC_SEQ_CST); }

static void write32(u64 address, u32 value) { *(volatile u32 *)address = value; }
static void write64(u64 address, u64 value) { *(volatile u64 *)address = value; }
static void write8(u64 address, u8 value) { *(volatile u8 *)address = value; }
static u8 read8(u64 address) { return *(volatile u8 *)address; }

static void spin_hint(void) { asm volatile(".word 0x0100000f" ::: "memory"); } // pause
static void wait_for_interrupt(void) { asm volatile("wfi" ::: "memory"); }

// What the compiler copies structs with.
void *memcpy(void *to, const void *from, u64 bytes)
{
    for (u64 at = 0; at < bytes; at++)
        ((u8 *)to)[at] = ((const u8 *)from)[at];
    return to;
}

// ---- The other harts -------------------------------------------------------------------------------------------

static void ask(struct hart *hart, u32 what)
{
    __atomic_fetch_or(&hart->asked, what, __ATOMIC_SEQ_CST);
    write32(CLINT + 4 * id_of(hart), 1);
}

static void lock(struct hart *hart)
{
    while (__atomic_exchange_n(&hart->lock, 1, __ATOMIC_ACQUIRE))
        spin_hint();
}

static void unlock(struct hart *hart) { __atomic_store_n(&hart->lock, 0, __ATOMIC_RELEASE); }

static void fence_here(struct fence fence)
{
    if (fence.size == ALL) {
        if (fence.asid == ALL)
            asm volatile("sfence.vma" ::: "memory");
        else
            asm volatile("sfence.vma x0, %0" ::"r"(fence.asid) : "memory");
        return;
    }
    u64 page = fence.start & ~4095UL;
    for (u64 pages = (fence.start - page + fence.size + 4095) / 4096; pages; pages--, page += 4096) {
        if (fence.asid == ALL)
            asm volatile("sfence.vma %0" ::"r"(page) : "memory");
        else
            asm volatile("sfence.vma %0, %1" ::"r"(page), "r"(fence.asid) : "memory");
    }
}

// Does what others have asked this hart for.
static void answer(struct hart *self)
{
    write32(CLINT + 4 * id_of(self), 0);
    lock(self);
    u32 asked = __atomic_exchange_n(&self->asked, 0, __ATOMIC_SEQ_CST);
    if (asked & ASKED_SOFTWARE)
        csr_set("mip", MIP_SSIP);
    if (asked & ASKED_FENCE_I)
        asm volatile("fence.i" ::: "memory");
    if (asked & ASKED_FENCE_VMA)
        fence_here(self->fence);
    u64 from[4];
    for (int word = 0; word < 4; word++) {
        from[word] = self->fence_from[word];
        self->fence_from[word] = 0;
    }
    unlock(self);
    for (u64 word = 0; word < 4; word++) {
        for (u64 id = word * 64; from[word]; id++, from[word] >>= 1) {
            if (from[word] & 1)
                __atomic_fetch_sub(&hart_of(id)->awaited, 1, __ATOMIC_SEQ_CST);
        }
    }
}

// Whether a call's mask names a hart (section 3: hart mask).
static int is_named(u64 id, u64 mask, u64 base)
{
    return base == ALL || (id >= base && id - base < 64 && (mask >> (id - base) & 1));
}

// A mask may name only harts that are there.
static int is_mask_valid(u64 mask, u64 base)
{
    for (u64 bit = 0; base != ALL && bit < 64; bit++) {
        if ((mask >> bit & 1) && (base >= harts_count || base + bit >= harts_count))
            return 0;
    }
    return 1;
}

static s64 send_software(u64 mask, u64 base)
{
    if (!is_mask_valid(mask, base))
        return SBI_ERR_INVALID_PARAM;
    for (u64 id = 0; id < harts_count; id++) {
        if (is_named(id, mask, base))
            ask(hart_of(id), ASKED_SOFTWARE);
    }
    return SBI_SUCCESS;
}

static s64 remote_fence(struct hart *self, u32 what, u64 mask, u64 base, struct fence fence)
{
    if (!is_mask_valid(mask, base))
        return SBI_ERR_INVALID_PARAM;
    if (what == ASKED_FENCE_VMA && ((fence.start == 0 && fence.size == 0) || fence.size > FENCE_PAGES_MAX * 4096)) {
        fence.start = 0;
        fence.size = ALL;
    }
    for (u64 id = 0; id < harts_count; id++) {
        struct hart *hart = hart_of(id);
        if (!is_named(id, mask, base))
            continue;
        if (hart == self) {
            if (what == ASKED_FENCE_I)
                asm volatile("fence.i" ::: "memory");
            else
                fence_here(fence);
            continue;
        }
        u32 state = state_of(hart);
        // A hart that is stopped fences before it starts.
        if (state == STOPPED || state == START_PENDING)
            continue;
        lock(hart);
        if (what == ASKED_FENCE_VMA) {
            u32 is_pending = __atomic_load_n(&hart->asked, __ATOMIC_SEQ_CST) & ASKED_FENCE_VMA;
            // A second fence before the first is done: everything.
            hart->fence = is_pending ? (struct fence){ 0, ALL, ALL } : fence;
        }
        hart->fence_from[id_of(self) / 64] |= 1UL << (id_of(self) % 64);
        __atomic_fetch_add(&self->awaited, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&hart->asked, what, __ATOMIC_SEQ_CST);
        unlock(hart);
        write32(CLINT + 4 * id, 1);
    }
    while (__atomic_load_n(&self->awaited, __ATOMIC_SEQ_CST)) {
        if (csr_read("mip") & MIP_MSIP)
            answer(self);
        else
            spin_hint();
    }
    return SBI_SUCCESS;
}

// ---- Starting and stopping (section 9) -------------------------------------------------------------------------

// What a hart holds when a supervisor starts on it.
static void prepare_supervisor(void)
{
    // pmp 1 keeps the firmware, from pmp 0's address on, to itself; pmp 2 gives everything else.
    csr_write("pmpaddr0", RAM >> 2);
    csr_write("pmpaddr1", FIRMWARE_END >> 2);
    csr_write("pmpaddr2", ALL >> 10);
    csr_write("pmpcfg0", 0x1f0800);
    csr_write("satp", 0);
    // Everything but calls from supervisor and machine mode.
    csr_write("medeleg", 0xb1ff);
    csr_write("mideleg", MIP_SSIP | MIP_STIP | MIP_SEIP);
    csr_write("mcounteren", 7);
    csr_write("scounteren", 7);
    csr_write("stvec", 0);
    csr_write("sie", 0);
    csr_clear("mip", MIP_SSIP | MIP_STIP);
    u64 environment = MENVCFG_STCE | MENVCFG_PBMTE | MENVCFG_CBZE | MENVCFG_CBCFE | MENVCFG_CBIE;
    has_stimecmp = (probe_menvcfg(environment) & MENVCFG_STCE) != 0;
    if (has_stimecmp)
        csr_write("0x14d", ALL);
    else
        write64(CLINT + 0x4000 + 8 * csr_read("mhartid"), ALL);
    csr_write("mie", MIP_MSIP);
    // Supervisor mode next, floating point off, interrupts off.
    csr_write("mstatus", 1UL << 11);
    asm volatile("fence.i\n\tsfence.vma" ::: "memory");
}

static void __attribute__((noreturn)) enter_supervisor(struct hart *self)
{
    prepare_supervisor();
    u64 address = self->start_address, argument = self->start_argument;
    set_state(self, STARTED);
    enter_lower(address, id_of(self), argument);
}

static void __attribute__((noreturn)) wait_for_start(struct hart *self)
{
    csr_write("mie", MIP_MSIP);
    for (;;) {
        if (csr_read("mip") & MIP_MSIP)
            answer(self);
        if (state_of(self) == START_PENDING)
            enter_supervisor(self);
        wait_for_interrupt();
    }
}

// RAM that is not the firmware's own.
static int is_free_ram(u64 address, u64 bytes)
{
    return address >= FIRMWARE_END && address <= ram_end && bytes <= ram_end - address;
}

static int is_start_address(u64 address) { return is_free_ram(address, 2) && !(address & 1); }

static s64 hart_start(u64 id, u64 address, u64 argument)
{
    if (id >= harts_count)
        return SBI_ERR_INVALID_PARAM;
    if (!is_start_address(address))
        return SBI_ERR_INVALID_ADDRESS;
    struct hart *hart = hart_of(id);
    lock(hart);
    if (state_of(hart) != STOPPED) {
        unlock(hart);
        return SBI_ERR_ALREADY_AVAILABLE;
    }
    hart->start_address = address;
    hart->start_argument = argument;
    set_state(hart, START_PENDING);
    unlock(hart);
    ask(hart, ASKED_START);
    return SBI_SUCCESS;
}

static void __attribute__((noreturn)) restart(struct hart *self, void (*then)(struct hart *))
{
    u64 stack = (u64)self + HART_SIZE - FRAME_SIZE;
    asm volatile("mv sp, %0\n\tmv a0, %1\n\tjr %2" ::"r"(stack), "r"(self), "r"(then) : "memory", "a0");
    __builtin_unreachable();
}

static void stop_here(struct hart *self)
{
    csr_write("mie", 0);
    set_state(self, STOPPED);
    answer(self);
    wait_for_start(self);
}

static void resume_here(struct hart *self) { enter_supervisor(self); }

static s64 hart_suspend(struct hart *self, u32 type, u64 address, u64 argument)
{
    const u32 retentive = 0, non_retentive = 0x80000000;
    if (type != retentive && type != non_retentive)
        return SBI_ERR_INVALID_PARAM;
    if (type == non_retentive && !is_start_address(address))
        return SBI_ERR_INVALID_ADDRESS;
    set_state(self, SUSPENDED);
    // Whatever the supervisor would be interrupted by ends the sleep, as does a request of another hart.
    u64 enabled = csr_read("mie");
    csr_write("mie", enabled | MIP_MSIP);
    while (!(csr_read("mip") & csr_read("mie"))) {
        wait_for_interrupt();
    }
    csr_write("mie", enabled);
    if (csr_read("mip") & MIP_MSIP)
        answer(self);
    set_state(self, STARTED);
    if (type == retentive)
        return SBI_SUCCESS;
    self->start_address = address;
    self->start_argument = argument;
    restart(self, resume_here);
}

// ---- Clock, reset, console -------------------------------------------------------------------------------------

static void set_timer(struct hart *self, u64 ticks)
{
    if (has_stimecmp) {
        csr_write("0x14d", ticks);
        return;
    }
    write64(CLINT + 0x4000 + 8 * id_of(self), ticks);
    csr_clear("mip", MIP_STIP);
    csr_set("mie", MIP_MTIP);
}

static s64 system_reset(u32 type, u32 reason)
{
    const u32 shutdown = 0, cold_reboot = 1, warm_reboot = 2;
    if (type > warm_reboot || reason > 1)
        return SBI_ERR_INVALID_PARAM;
    if (type == shutdown)
        write32(FINISHER, reason ? 1U << 16 | FINISHER_FAIL : FINISHER_PASS);
    else if (type == cold_reboot || type == warm_reboot)
        write32(FINISHER, FINISHER_RESET);
    return SBI_ERR_FAILED;
}

static int has_uart_room(void) { return read8(UART + 5) & 0x20; }

static int is_buffer(u64 bytes, u64 low, u64 high) { return high == 0 && is_free_ram(low, bytes); }

static struct result console_write(u64 bytes, u64 low, u64 high)
{
    if (!is_buffer(bytes, low, high))
        return (struct result){ SBI_ERR_INVALID_PARAM, 0 };
    u64 done = 0;
    for (; done < bytes && has_uart_room(); done++)
        write8(UART, *(u8 *)(low + done));
    return (struct result){ SBI_SUCCESS, done };
}

static struct result console_read(u64 bytes, u64 low, u64 high)
{
    if (!is_buffer(bytes, low, high))
        return (struct result){ SBI_ERR_INVALID_PARAM, 0 };
    u64 done = 0;
    for (; done < bytes && (read8(UART + 5) & 1); done++)
        *(u8 *)(low + done) = read8(UART);
    return (struct result){ SBI_SUCCESS, done };
}

static struct result console_write_byte(u8 byte)
{
    while (!has_uart_room())
        spin_hint();
    write8(UART, byte);
    return (struct result){ SBI_SUCCESS, 0 };
}

// ---- Counters (section 11) -------------------------------------------------------------------------------------

// Counters are called by their bits in mcountinhibit; 1 is the clock, which counts no event.
#define COUNTER_CYCLES 0
#define COUNTER_INSTRUCTIONS 2
#define COUNTERS (1UL << COUNTER_CYCLES | 1UL << COUNTER_INSTRUCTIONS)
#define COUNTERS_END 3
// What a counter is: the number of its CSR, and its bits less one from bit 12 on.
#define CSR_CYCLE 0xc00UL
#define COUNTER_BITS 64UL
// Events: hardware's, type 0.
#define EVENT_CYCLES 1
#define EVENT_INSTRUCTIONS 2
// Flags of the calls.
#define MATCH_SKIP 1
#define MATCH_CLEAR 2
#define MATCH_START 4
#define START_WITH_VALUE 1
#define STOP_AND_RESET 1

// The counters that a call names; none where one of them is not there.
static u64 named_counters(u64 base, u64 mask)
{
    u64 set = base < 64 ? mask << base : 0;
    return base < 64 && set >> base == mask && !(set & ~COUNTERS) ? set : 0;
}

static void set_counters(u64 set, u64 value)
{
    if (set & 1UL << COUNTER_CYCLES)
        csr_write("mcycle", value);
    if (set & 1UL << COUNTER_INSTRUCTIONS)
        csr_write("minstret", value);
}

static struct result counter_info(u64 counter)
{
    if (counter >= COUNTERS_END || !(1UL << counter & COUNTERS))
        return (struct result){ SBI_ERR_INVALID_PARAM, 0 };
    return (struct result){ SBI_SUCCESS, (CSR_CYCLE + counter) | (COUNTER_BITS - 1) << 12 };
}

static struct result match_counter(u64 set, u64 flags, u64 event)
{
    u64 counter = event == EVENT_CYCLES ? COUNTER_CYCLES : COUNTER_INSTRUCTIONS;
    if (!set)
        return (struct result){ SBI_ERR_INVALID_PARAM, 0 };
    if (flags & MATCH_SKIP)
        counter = set & 1UL << COUNTER_CYCLES ? COUNTER_CYCLES : COUNTER_INSTRUCTIONS;
    else if ((event != EVENT_CYCLES && event != EVENT_INSTRUCTIONS) || !(set >> counter & 1))
        return (struct result){ SBI_ERR_NOT_SUPPORTED, 0 };
    if (flags & MATCH_CLEAR)
        set_counters(1UL << counter, 0);
    if (flags & MATCH_START)
        csr_clear("mcountinhibit", 1UL << counter);
    return (struct result){ SBI_SUCCESS, counter };
}

static s64 start_counters(u64 set, u64 flags, u64 value)
{
    if (!set)
        return SBI_ERR_INVALID_PARAM;
    if (set & ~csr_read("mcountinhibit"))
        return SBI_ERR_ALREADY_STARTED;
    if (flags & START_WITH_VALUE)
        set_counters(set, value);
    csr_clear("mcountinhibit", set);
    return SBI_SUCCESS;
}

static s64 stop_counters(u64 set, u64 flags)
{
    if (!set)
        return SBI_ERR_INVALID_PARAM;
    u64 stopped = set & csr_read("mcountinhibit");
    csr_set("mcountinhibit", set);
    if (flags & STOP_AND_RESET)
        set_counters(set, 0);
    return stopped ? SBI_ERR_ALREADY_STOPPED : SBI_SUCCESS;
}

static struct result call_counters(u64 function, const struct frame *frame)
{
    const u64 a0 = frame->x[10], flags = frame->x[12], a3 = frame->x[13];
    const u64 set = named_counters(a0, frame->x[11]);
    switch (function) {
    case 0: return (struct result){ SBI_SUCCESS, COUNTERS_END };
    case 1: return counter_info(a0);
    case 2: return match_counter(set, flags, a3);
    case 3: return (struct result){ start_counters(set, flags, a3), 0 };
    case 4: return (struct result){ stop_counters(set, flags), 0 };
    default: return (struct result){ SBI_ERR_NOT_SUPPORTED, 0 };
    }
}

// ---- Calls -----------------------------------------------------------------------------------------------------

static int is_extension(u64 extension)
{
    return extension == EXT_BASE || extension == EXT_TIME || extension == EXT_IPI || extension == EXT_RFENCE ||
           extension == EXT_HSM || extension == EXT_SRST || extension == EXT_DBCN || extension == EXT_PMU;
}

static struct result call_base(u64 function, u64 argument)
{
    switch (function) {
    case 0: return (struct result){ SBI_SUCCESS, 2UL << 24 };         // the specification's version: 2.0
    case 1: return (struct result){ SBI_SUCCESS, 0x43414e54 };        // the implementation: none that is registered
    case 2: return (struct result){ SBI_SUCCESS, 1 };                 // its version
    case 3: return (struct result){ SBI_SUCCESS, is_extension(argument) };
    case 4: return (struct result){ SBI_SUCCESS, csr_read("mvendorid") };
    case 5: return (struct result){ SBI_SUCCESS, csr_read("marchid") };
    case 6: return (struct result){ SBI_SUCCESS, csr_read("mimpid") };
    default: return (struct result){ SBI_ERR_NOT_SUPPORTED, 0 };
    }
}

static struct result call(struct hart *self, struct frame *frame)
{
    const u64 a0 = frame->x[10], a1 = frame->x[11], a2 = frame->x[12], a3 = frame->x[13], a4 = frame->x[14];
    const u64 function = frame->x[16];
    const struct result unsupported = { SBI_ERR_NOT_SUPPORTED, 0 };
    switch (frame->x[17]) {
    case EXT_BASE: return call_base(function, a0);
    case EXT_TIME:
        if (function != 0)
            return unsupported;
        set_timer(self, a0);
        return (struct result){ SBI_SUCCESS, 0 };
    case EXT_IPI:
        if (function != 0)
            return unsupported;
        return (struct result){ send_software(a0, a1), 0 };
    case EXT_RFENCE: {
        const struct fence none = { 0, ALL, ALL };
        switch (function) {
        case 0: return (struct result){ remote_fence(self, ASKED_FENCE_I, a0, a1, none), 0 };
        case 1:
            return (struct result){ remote_fence(self, ASKED_FENCE_VMA, a0, a1, (struct fence){ a2, a3, ALL }), 0 };
        case 2:
            return (struct result){ remote_fence(self, ASKED_FENCE_VMA, a0, a1, (struct fence){ a2, a3, a4 }), 0 };
        default: return unsupported;
        }
    }
    case EXT_HSM:
        switch (function) {
        case 0: return (struct result){ hart_start(a0, a1, a2), 0 };
        case 1: restart(self, stop_here);
        case 2:
            if (a0 >= harts_count)
                return (struct result){ SBI_ERR_INVALID_PARAM, 0 };
            return (struct result){ SBI_SUCCESS, state_of(hart_of(a0)) };
        case 3: return (struct result){ hart_suspend(self, (u32)a0, a1, a2), 0 };
        default: return unsupported;
        }
    case EXT_SRST:
        if (function != 0)
            return unsupported;
        return (struct result){ system_reset((u32)a0, (u32)a1), 0 };
    case EXT_DBCN:
        switch (function) {
        case 0: return console_write(a0, a1, a2);
        case 1: return console_read(a0, a1, a2);
        case 2: return console_write_byte((u8)a0);
        default: return unsupported;
        }
    case EXT_PMU: return call_counters(function, frame);
    default: return unsupported;
    }
}

// ---- Traps -----------------------------------------------------------------------------------------------------

// A trap that is not for the firmware goes to the supervisor (Privileged Architecture, section 3.1.6.1).
static void redirect(void)
{
    u64 status = csr_read("mstatus");
    csr_write("scause", csr_read("mcause"));
    csr_write("stval", csr_read("mtval"));
    csr_write("sepc", csr_read("mepc"));
    csr_write("mepc", csr_read("stvec") & ~3UL);
    u64 previous = status >> 11 & 3;
    u64 enabled = status >> 1 & 1;
    status &= ~(3UL << 11 | 1UL << 8 | 1UL << 5 | 1UL << 1);
    status |= 1UL << 11 | (previous & 1) << 8 | enabled << 5;
    csr_write("mstatus", status);
}

void handle_trap(struct frame *frame)
{
    struct hart *self = (struct hart *)((u64)frame & ~(u64)(HART_SIZE - 1));
    const u64 interrupt = 1UL << 63;
    u64 cause = csr_read("mcause");
    switch (cause) {
    case interrupt | 3: answer(self); return;
    case interrupt | 7:
        csr_clear("mie", MIP_MTIP);
        csr_set("mip", MIP_STIP);
        return;
    case 9: {
        struct result result = call(self, frame);
        frame->x[10] = (u64)result.error;
        frame->x[11] = result.value;
        csr_write("mepc", csr_read("mepc") + 4);
        return;
    }
    default: redirect();
    }
}

// Where start.S goes.
void start(u64 id, u64 tree, const struct boot_info *info)
{
    struct hart *self = hart_of(id);
    if (id != info->boot_hart)
        wait_for_start(self);
    harts_count = info->harts;
    ram_end = info->ram_end;
    self->start_address = info->next_address;
    self->start_argument = tree;
    enter_supervisor(self);
}
