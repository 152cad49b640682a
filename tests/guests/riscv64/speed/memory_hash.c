/* A hash over memory: four sums of words that are multiplied and rotated, as fast hashes do. A round reads 256 KiB. */
#include "speed.h"

const char program[] = "memory_hash";
volatile uint64_t work_rounds = 2;

#define WORDS (256 * 1024 / sizeof(uint64_t))

static NOINIT OWN_PAGE uint64_t memories[WORKING_MAX][WORDS];

static uint64_t rotate(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    const uint64_t odd = 0x9e3779b97f4a7c15ul, other = 0xd6e8feb86659fd93ul;
    uint64_t *words = memories[hart];
    uint64_t random = random_seed(0);
    for (size_t i = 0; i < WORDS; i++)
        words[i] = random_next(&random);
    uint64_t a = 1, b = 2, c = 3, d = 4;
    for (uint64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < WORDS; i += 4) {
            a = rotate(a + words[i] * odd, 31) * other;
            b = rotate(b + words[i + 1] * odd, 29) * other;
            c = rotate(c + words[i + 2] * odd, 27) * other;
            d = rotate(d + words[i + 3] * odd, 25) * other;
        }
    return a ^ rotate(b, 7) ^ rotate(c, 12) ^ rotate(d, 18);
}
