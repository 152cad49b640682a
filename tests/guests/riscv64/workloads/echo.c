/* Reads a line from the console by UART interrupts (through the PLIC), and prints it in capitals. Hart 0
 * alone works. */
#include "cantus.h"

#define LINE_MAX 80

static volatile char line[LINE_MAX + 1];
static volatile unsigned length;
static volatile bool complete;

static void take_byte(char byte) {
    if (byte == '\r' || byte == '\n' || length == LINE_MAX)
        complete = true;
    else
        line[length++] = byte;
}

uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    if (cause != CAUSE_EXTERNAL)
        fail(127, "echo: unexpected trap: cause %lx, pc %lx, value %lx", cause, pc, value);
    uint32_t source = *PLIC_CLAIM(0);
    if (source != PLIC_SOURCE_UART)
        fail(1, "echo: an interrupt from source %u, which is not the UART", source);
    while (!complete && (UART[UART_LINE_STATUS] & UART_RECEIVED) != 0)
        take_byte(UART[UART_DATA]);
    if (complete)
        UART[UART_INTERRUPT_ENABLE] = 0;
    *PLIC_CLAIM(0) = source;
    return pc;
}

void main(unsigned hart) {
    if (hart != 0)
        return;
    print("echo: type a line\n");
    *PLIC_PRIORITY(PLIC_SOURCE_UART) = 1;
    *PLIC_ENABLE(0) = 1 << PLIC_SOURCE_UART;
    *PLIC_THRESHOLD(0) = 0;
    UART[UART_INTERRUPT_ENABLE] = UART_RECEIVED;
    csr_set(mie, MIE_EXTERNAL);
    /* Interrupts are taken after WFI only: see lost_wakeup. */
    while (!complete) {
        wait_for_interrupt();
        csr_set(mstatus, MSTATUS_MIE);
        csr_clear(mstatus, MSTATUS_MIE);
    }
    char capitals[LINE_MAX + 1] = {0};
    for (unsigned i = 0; i < length; i++)
        capitals[i] = line[i] >= 'a' && line[i] <= 'z' ? line[i] - 'a' + 'A' : line[i];
    pass("echo: %s", capitals);
}
