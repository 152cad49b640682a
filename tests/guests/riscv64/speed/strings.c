/* What programs do with text, byte by byte: copies, lengths, comparisons, searches. A round goes through 8 KiB of words
 * several times.
 */
#include "speed.h"

const char program[] = "strings";
volatile uint64_t work_rounds = 4;

#define BYTES 8192

struct memory {
    char text[BYTES];
    char copy[BYTES];
} OWN_PAGE;

static NOINIT struct memory memories[WORKING_MAX];

static size_t length(const char *text) {
    size_t n = 0;
    while (text[n] != 0)
        n++;
    return n;
}

static char *copy(char *to, const char *from) {
    while ((*to = *from++) != 0)
        to++;
    return to;
}

static int compare(const char *a, const char *b) {
    while (*a != 0 && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

/* How often `wanted` stands in `text`. */
static unsigned occurrences(const char *text, const char *wanted) {
    unsigned count = 0;
    for (; *text != 0; text++) {
        const char *a = text, *b = wanted;
        while (*b != 0 && *a == *b)
            a++, b++;
        count += *b == 0;
    }
    return count;
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    struct memory *memory = &memories[hart];
    uint64_t random = random_seed(0);
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BYTES - 1; i++)
            memory->text[i] = "etaoin shrdlu et"[random_next(&random) >> 30 & 15];
        memory->text[BYTES - 1] = 0;
        if (copy(memory->copy, memory->text) != memory->copy + BYTES - 1 || compare(memory->copy, memory->text) != 0)
            fail(2, "strings: a copy is not what was copied");
        unsigned found = occurrences(memory->copy, "eta") + occurrences(memory->copy, "  ");
        for (char *c = memory->copy; *c != 0; c++)
            if (*c == ' ')
                *c = 0;
        unsigned words = 0;
        for (char *word = memory->copy; word < memory->copy + BYTES; word += length(word) + 1)
            words += compare(word, "tie") < 0;
        sum = sum * 3 + found * 1000 + words;
    }
    return sum;
}
