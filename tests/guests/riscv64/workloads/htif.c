/* Prints and ends through the host-target interface, as programs for the Spike simulator do: no UART, no
 * finisher.
 *
 * `tohost` = (status << 1) | 1 ends the machine. An even, nonzero `tohost` is the address of a system call
 * for the host to make: number, then arguments; the host answers by a nonzero `fromhost`.
 *
 * Built with -DSTATUS=n, it prints nothing and ends with status n.
 */
#include "cantus.h"

#define SYSTEM_CALL_WRITE 64
#define STANDARD_OUTPUT 1

__attribute__((section(".tohost"))) OWN_LINE volatile uint64_t tohost;
__attribute__((section(".tohost"))) OWN_LINE volatile uint64_t fromhost;

static _Noreturn void end(uint64_t status) {
    tohost = status << 1 | 1;
    for (;;)
        wait_for_interrupt();
}

#ifdef STATUS
static void greet(void) {
}
#else
#define STATUS 0

static OWN_LINE volatile uint64_t system_call[8];

static void write(const char *text, size_t length) {
    system_call[0] = SYSTEM_CALL_WRITE;
    system_call[1] = STANDARD_OUTPUT;
    system_call[2] = (uintptr_t)text;
    system_call[3] = length;
    fence_full();
    tohost = (uintptr_t)system_call;
    while (fromhost == 0)
        pause();
    fromhost = 0;
    fence_full();
}

static void greet(void) {
    static const char text[] = "htif: written by the host\n";
    write(text, sizeof text - 1);
}
#endif

void main(unsigned hart) {
    all_harts_barrier();
    if (hart != 0)
        return;
    greet();
    end(STATUS);
}
