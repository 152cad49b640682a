/* Floating-point arithmetic in double and single precision: every hart computes the same and must get the
 * same bits.
 *
 * The sequences are chaotic, so a result that is wrong in its last bit once is wrong altogether at the end.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 10000;

struct result {
    double logistic;
    double roots;
    float single;
    uint64_t flags;
} OWN_LINE;

static struct result results[HARTS_MAX];

static double square_root(double x) {
    asm("fsqrt.d %0, %1" : "=f"(x) : "f"(x));
    return x;
}

static struct result compute(uint64_t rounds) {
    struct result result = {.logistic = 0.3, .roots = 2.0, .single = 0.3f};
    csr_write(fflags, 0);
    for (uint64_t round = 0; round < rounds; round++) {
        result.logistic = 3.99 * result.logistic * (1.0 - result.logistic);
        result.roots = square_root(result.roots + result.logistic) + 1.0 / (1.0 + result.roots);
        result.single = 3.9f * result.single * (1.0f - result.single);
    }
    result.flags = csr_read(fflags);
    return result;
}

static uint64_t bits(double x) {
    uint64_t y;
    asm("fmv.x.d %0, %1" : "=r"(y) : "f"(x));
    return y;
}

static uint64_t mixed_bits(const struct result *result) {
    return bits(result->logistic) ^ bits(result->roots) * 3 ^ bits((double)result->single) * 5 ^
           result->flags;
}

void main(unsigned hart) {
    results[hart] = compute(work_rounds);
    all_harts_barrier();

    if (hart == 0) {
        for (unsigned other = 1; other < harts; other++)
            if (mixed_bits(&results[other]) != mixed_bits(&results[0]))
                fail(1, "float_loop: hart %u came to another result than hart 0", other);
        pass("float_loop: %lu rounds, logistic %lx, roots %lx, single %lx, flags %lx", work_rounds,
             bits(results[0].logistic), bits(results[0].roots), bits((double)results[0].single),
             results[0].flags);
    }
}
