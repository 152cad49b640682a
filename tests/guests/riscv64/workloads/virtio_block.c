/* Harts share a drive: under a lock each writes sectors of its own and reads them back, as xv6 does it. Hart 0
 * takes the drive's interrupts. Works on the older and the newer layout of virtio's registers (Virtual I/O
 * Device 1.2, sections 4.2.2 and 4.2.4). Where the machine also has a source of random bytes, hart 0 prints
 * some of them, and the time. A machine without a drive passes.
 *
 * On the drive, every byte of sector n is n modulo 256 at first. */
#include "cantus.h"

#define SLOTS 8
#define SLOT(n) (0x10001000ul + 0x1000ul * (n))
#define RTC ((volatile uint32_t *)0x00101000ul)

#define MAGIC 0x000
#define VERSION 0x004
#define DEVICE_ID 0x008
#define DRIVER_FEATURES 0x020
#define PAGE_BYTES 0x028
#define QUEUE_SELECT 0x030
#define QUEUE_SIZE 0x038
#define QUEUE_ALIGN 0x03c
#define QUEUE_PAGE 0x040
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACK 0x064
#define STATUS 0x070
#define QUEUE_DESCRIPTORS 0x080
#define QUEUE_AVAILABLE 0x090
#define QUEUE_USED 0x0a0

#define ID_DRIVE 2
#define ID_ENTROPY 4

#define DESCRIPTORS 8
#define NEXT 1
#define WRITE 2
#define SECTOR 512

volatile uint64_t work_rounds = 8;

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

/* As both layouts have it: the used ring begins a page of its own. */
struct queue {
    volatile struct descriptor descriptors[DESCRIPTORS];
    volatile struct {
        uint16_t flags;
        uint16_t index;
        uint16_t heads[DESCRIPTORS];
    } available;
    volatile struct {
        uint16_t flags;
        uint16_t index;
        struct {
            uint32_t head;
            uint32_t length;
        } chains[DESCRIPTORS];
    } used OWN_PAGE;
} OWN_PAGE;

static struct queue drive_queue, entropy_queue;
static volatile uint64_t drive; /* its slot, or 0 */
static spinlock drive_lock;
static volatile uint16_t drive_done; /* the requests that the interrupt handler has seen */
static OWN_LINE uint32_t harts_done;

static uint8_t buffers[HARTS_MAX][SECTOR] OWN_PAGE NOINIT;
static volatile uint8_t random_bytes[8];

#define REG(slot, offset) (*(volatile uint32_t *)((slot) + (offset)))

static uint64_t find(uint32_t id) {
    for (unsigned n = 0; n < SLOTS; n++) {
        if (REG(SLOT(n), MAGIC) != 0x74726976)
            fail(2, "virtio_block: slot %u has no device registers", n);
        if (REG(SLOT(n), DEVICE_ID) == id)
            return SLOT(n);
    }
    return 0;
}

static void set_address(uint64_t slot, unsigned offset, volatile void *address) {
    REG(slot, offset) = (uint32_t)(uintptr_t)address;
    REG(slot, offset + 4) = (uint32_t)((uintptr_t)address >> 32);
}

static void set_up(uint64_t slot, struct queue *queue) {
    REG(slot, STATUS) = 0;
    REG(slot, STATUS) = 1;
    REG(slot, STATUS) = 3;
    REG(slot, DRIVER_FEATURES) = 0;
    REG(slot, STATUS) = 11;
    REG(slot, QUEUE_SELECT) = 0;
    REG(slot, QUEUE_SIZE) = DESCRIPTORS;
    if (REG(slot, VERSION) == 1) {
        REG(slot, PAGE_BYTES) = PAGE_SIZE;
        REG(slot, QUEUE_ALIGN) = PAGE_SIZE;
        REG(slot, QUEUE_PAGE) = (uintptr_t)queue / PAGE_SIZE;
    } else {
        set_address(slot, QUEUE_DESCRIPTORS, queue->descriptors);
        set_address(slot, QUEUE_AVAILABLE, &queue->available);
        set_address(slot, QUEUE_USED, &queue->used);
        REG(slot, QUEUE_READY) = 1;
    }
    REG(slot, STATUS) = 15;
}

static void describe(struct queue *queue, unsigned at, volatile void *address, uint32_t length, unsigned flags) {
    queue->descriptors[at].address = (uintptr_t)address;
    queue->descriptors[at].length = length;
    queue->descriptors[at].flags = flags;
    queue->descriptors[at].next = at + 1;
}

/* Makes the chain that begins with descriptor 0 available. */
static void offer(uint64_t slot, struct queue *queue) {
    queue->available.heads[queue->available.index % DESCRIPTORS] = 0;
    store_release(&queue->available.index, (uint16_t)(queue->available.index + 1));
    fence_memory_to_device();
    REG(slot, QUEUE_NOTIFY) = 0;
}

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    if (cause != CAUSE_EXTERNAL)
        fail(127, "virtio_block: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    uint32_t source = *PLIC_CLAIM(0);
    if (source == 0)
        return pc;
    if (SLOT(source - 1) != drive)
        fail(2, "virtio_block: an interrupt from source %u", source);
    REG(drive, INTERRUPT_ACK) = REG(drive, INTERRUPT_STATUS);
    fence_device_to_memory();
    store_release(&drive_done, load_acquire(&drive_queue.used.index));
    *PLIC_CLAIM(0) = source;
    return pc;
}

/* One request, one hart at a time. */
static void transfer(uint64_t sector, uint8_t *data, bool write) {
    static volatile struct {
        uint32_t type;
        uint32_t reserved;
        uint64_t sector;
    } header;
    static volatile uint8_t status;
    spinlock_acquire(&drive_lock);
    header.type = write;
    header.sector = sector;
    status = 0xff;
    describe(&drive_queue, 0, &header, sizeof header, NEXT);
    describe(&drive_queue, 1, data, SECTOR, write ? NEXT : NEXT | WRITE);
    describe(&drive_queue, 2, &status, 1, WRITE);
    uint16_t awaited = drive_queue.available.index + 1;
    offer(drive, &drive_queue);
    while (load_acquire(&drive_done) != awaited)
        pause();
    if (status != 0)
        fail(1, "virtio_block: sector %lu: status %u", sector, status);
    spinlock_release(&drive_lock);
}

static void print_random(uint64_t slot) {
    set_up(slot, &entropy_queue);
    /* By looking at the ring: its source stays disabled. */
    describe(&entropy_queue, 0, random_bytes, sizeof random_bytes, WRITE);
    offer(slot, &entropy_queue);
    while (load_acquire(&entropy_queue.used.index) != 1)
        pause();
    uint64_t low = RTC[0], high = RTC[1];
    print("virtio_block: random %x, time %lu\n", random_bytes[0] << 8 | random_bytes[7], high << 32 | low);
}

void main(unsigned hart) {
    if (hart == 0) {
        uint64_t slot = find(ID_DRIVE);
        if (slot == 0)
            pass("virtio_block: no drive");
        set_up(slot, &drive_queue);
        drive = slot;
        unsigned source = (slot - SLOT(0)) / 0x1000 + 1;
        *PLIC_PRIORITY(source) = 1;
        *PLIC_ENABLE(0) = 1u << source;
        *PLIC_THRESHOLD(0) = 0;
        csr_set(mie, MIE_EXTERNAL);
        csr_set(mstatus, MSTATUS_MIE);
        uint64_t entropy = find(ID_ENTROPY);
        if (entropy != 0)
            print_random(entropy);
    }
    all_harts_barrier();

    uint8_t *buffer = buffers[hart];
    uint64_t sector = hart + 1;
    transfer(sector, buffer, false);
    for (unsigned i = 0; i < SECTOR; i++)
        if (buffer[i] != (uint8_t)sector)
            fail(1, "virtio_block: sector %lu: byte %u is %u at first", sector, i, buffer[i]);

    for (uint64_t round = 1; round <= work_rounds; round++) {
        uint64_t state = random_seed(hart) + round;
        for (unsigned i = 0; i < SECTOR; i++)
            buffer[i] = random_next(&state);
        transfer(sector, buffer, true);
        for (unsigned i = 0; i < SECTOR; i++)
            buffer[i] = 0;
        transfer(sector, buffer, false);
        state = random_seed(hart) + round;
        for (unsigned i = 0; i < SECTOR; i++)
            if (buffer[i] != (uint8_t)random_next(&state))
                fail(1, "virtio_block: sector %lu: byte %u in round %lu", sector, i, round);
    }

    if (__atomic_add_fetch(&harts_done, 1, __ATOMIC_ACQ_REL) == harts)
        pass("virtio_block: %lu rounds on each of %u harts", work_rounds, harts);
    /* Hart 0 goes on taking the drive's interrupts. */
    while (hart == 0)
        pause();
}
