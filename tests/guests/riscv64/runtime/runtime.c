/* The parts of the runtime that are not small enough for the header: counting harts, printing, ending. */
#include "cantus.h"

unsigned harts;

/* ---- How many harts: the device tree's /cpus/cpu@* nodes ----------------------------------------------- */

#define FDT_MAGIC 0xd00dfeedu
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROPERTY = 3, FDT_NOP = 4 };

/* A cell of a flattened device tree is a big-endian word, aligned to 4 bytes. */
static uint32_t cell(const uint32_t *address) {
    uint32_t x = *address;
    return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

static bool starts_with(const char *text, const char *prefix) {
    for (; *prefix != 0; text++, prefix++)
        if (*text != *prefix)
            return false;
    return true;
}

static unsigned cpu_nodes(const uint32_t *tree) {
    const uint32_t *token = (const uint32_t *)((uintptr_t)tree + cell(&tree[2]));
    unsigned depth = 0;
    unsigned cpus_depth = 0; /* of the node /cpus while inside it, else 0 */
    unsigned count = 0;
    for (;;) {
        switch (cell(token++)) {
        case FDT_BEGIN_NODE: {
            const char *name = (const char *)token;
            size_t length = 0;
            while (name[length] != 0)
                length++;
            token += length / 4 + 1;
            depth++;
            if (depth == 2 && length == 4 && starts_with(name, "cpus"))
                cpus_depth = depth;
            else if (cpus_depth != 0 && depth == cpus_depth + 1 && starts_with(name, "cpu@"))
                count++;
            break;
        }
        case FDT_END_NODE:
            if (depth == cpus_depth)
                cpus_depth = 0;
            depth--;
            break;
        case FDT_PROPERTY:
            token += 2 + (cell(token) + 3) / 4;
            break;
        case FDT_NOP:
            break;
        default: /* the end, or something this parser does not know */
            return count;
        }
    }
}

/* Called by start.S on hart 0, before any other hart runs. */
void count_harts(const uint32_t *tree);
void count_harts(const uint32_t *tree) {
    unsigned count = 0;
    if (tree != NULL && cell(tree) == FDT_MAGIC)
        count = cpu_nodes(tree);
    harts = count == 0 ? 1 : count > HARTS_MAX ? HARTS_MAX : count;
}

/* ---- Barrier ------------------------------------------------------------------------------------------- */

static OWN_LINE struct barrier all_harts;

void all_harts_barrier(void) {
    barrier_wait(&all_harts, harts);
}

/* ---- Printing ------------------------------------------------------------------------------------------ */

#define LINE_MAX 160

struct line {
    unsigned length;
    char text[LINE_MAX];
};

static void put_char(struct line *line, char c) {
    if (line->length < LINE_MAX)
        line->text[line->length++] = c;
}

static void put_text(struct line *line, const char *text) {
    while (*text != 0)
        put_char(line, *text++);
}

static void put_number(struct line *line, uint64_t value, unsigned base) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count != 0)
        put_char(line, digits[--count]);
}

static void put_format(struct line *line, const char *format, __builtin_va_list arguments) {
    for (; *format != 0; format++) {
        if (*format != '%') {
            put_char(line, *format);
            continue;
        }
        bool is_long = *++format == 'l';
        if (is_long)
            format++;
        switch (*format) {
        case 's':
            put_text(line, __builtin_va_arg(arguments, const char *));
            break;
        case 'c':
            put_char(line, (char)__builtin_va_arg(arguments, int));
            break;
        case 'd': {
            int64_t value = is_long ? __builtin_va_arg(arguments, int64_t) : __builtin_va_arg(arguments, int);
            if (value < 0)
                put_char(line, '-');
            put_number(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value =
                is_long ? __builtin_va_arg(arguments, uint64_t) : __builtin_va_arg(arguments, unsigned);
            put_number(line, value, *format == 'u' ? 10 : 16);
            break;
        }
        default:
            put_char(line, *format);
        }
    }
}

static void transmit(const struct line *line) {
    for (unsigned i = 0; i < line->length; i++) {
        while ((UART[UART_LINE_STATUS] & UART_TRANSMIT_READY) == 0)
            pause();
        UART[UART_DATA] = line->text[i];
    }
}

static OWN_LINE spinlock uart_lock;

void print(const char *format, ...) {
    struct line line = {.length = 0};
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    put_format(&line, format, arguments);
    __builtin_va_end(arguments);
    spinlock_acquire(&uart_lock);
    transmit(&line);
    spinlock_release(&uart_lock);
}

/* ---- Ending -------------------------------------------------------------------------------------------- */

static OWN_LINE uint32_t ending;

/* The first hart that wants to end the machine goes on; any later one stops here, so that there is one
 * verdict. */
static void be_first_to_end(void) {
    if (__atomic_exchange_n(&ending, 1, __ATOMIC_ACQ_REL) != 0)
        for (;;)
            wait_for_interrupt();
}

_Noreturn void finish(unsigned status) {
    *FINISHER = status == 0 ? 0x5555 : status << 16 | 0x3333;
    for (;;)
        wait_for_interrupt();
}

_Noreturn void pass(const char *format, ...) {
    be_first_to_end();
    struct line line = {.length = 0};
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    put_format(&line, format, arguments);
    __builtin_va_end(arguments);
    put_char(&line, '\n');
    transmit(&line);
    finish(0);
}

_Noreturn void fail(unsigned code, const char *format, ...) {
    be_first_to_end();
    struct line line = {.length = 0};
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    put_text(&line, "FAILED: ");
    put_format(&line, format, arguments);
    __builtin_va_end(arguments);
    put_char(&line, '\n');
    transmit(&line);
    finish(code);
}

/* ---- Traps that no guest expects ----------------------------------------------------------------------- */

__attribute__((weak)) uint64_t on_trap(uint64_t cause, uint64_t pc, uint64_t value) {
    fail(127, "hart %u: unexpected trap: cause %lx, pc %lx, value %lx", hart_id(), cause, pc, value);
}

/* ---- What the compiler may call ------------------------------------------------------------------------ */

void *memset(void *to, int byte, size_t length);
void *memset(void *to, int byte, size_t length) {
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
