/* All atomic memory operations, 32 and 64 bits wide, by all harts on the same words. What must come out is
 * known.
 *
 * A round does 18 operations that change something, and some that change it back.
 */
#include "cantus.h"

volatile uint64_t work_rounds = 150;

/* The sign matters to 32-bit operands, which are extended to 64 bits when they are loaded. */
#define AMO(name, operation)                                              \
    static uint64_t name(volatile void *address, uint64_t operand) {      \
        uint64_t before;                                                  \
        asm volatile(operation " %0, %2, (%1)"                            \
                     : "=r"(before)                                       \
                     : "r"(address), "r"(operand)                         \
                     : "memory");                                         \
        return before;                                                    \
    }
#define AMO_BOTH(name)                \
    AMO(name##_w, #name ".w.aqrl")    \
    AMO(name##_d, #name ".d.aqrl")

AMO_BOTH(amoswap)
AMO_BOTH(amoadd)
AMO_BOTH(amoxor)
AMO_BOTH(amoand)
AMO_BOTH(amoor)
AMO_BOTH(amomin)
AMO_BOTH(amomax)
AMO_BOTH(amominu)
AMO_BOTH(amomaxu)

/* One set of words a width. */
#define WORDS(type, unsigned_type)              \
    struct {                                    \
        volatile type sum, smallest, largest;   \
        volatile unsigned_type lowest, highest; \
        volatile unsigned_type flipped, cleared, raised; \
        volatile unsigned_type token;           \
    }
static OWN_PAGE WORDS(int32_t, uint32_t) narrow;
static OWN_PAGE WORDS(int64_t, uint64_t) wide;

/* What all harts' tokens add up to: the shared word's and those in hand are only ever exchanged. */
static OWN_PAGE volatile uint64_t narrow_tokens, wide_tokens;

static void check(const char *what, uint64_t seen, uint64_t expected) {
    if (seen != expected)
        fail(1, "amo_mix: %s is %lx instead of %lx", what, seen, expected);
}

void main(unsigned hart) {
    uint64_t rounds = work_rounds;
    if (hart == 0) {
        narrow.cleared = ~(uint32_t)0;
        narrow.lowest = ~(uint32_t)0;
        wide.cleared = ~(uint64_t)0;
        wide.lowest = ~(uint64_t)0;
    }
    all_harts_barrier();

    uint64_t narrow_token = hart + 1;
    uint64_t wide_token = hart + 1;
    uint64_t narrow_bit = 1ul << hart % 32;
    uint64_t wide_bit = 1ul << hart % 64;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t number = round * harts + hart; /* no two harts ever use the same */
        amoadd_w(&narrow.sum, number);
        amoadd_d(&wide.sum, number);
        amomax_w(&narrow.largest, number);
        amomax_d(&wide.largest, number);
        amomin_w(&narrow.smallest, -number);
        amomin_d(&wide.smallest, -number);
        amomaxu_w(&narrow.highest, number | 1ul << 31);
        amomaxu_d(&wide.highest, number | 1ul << 63);
        amominu_w(&narrow.lowest, number + 7);
        amominu_d(&wide.lowest, number + 7);
        amoxor_w(&narrow.flipped, narrow_bit);
        amoxor_d(&wide.flipped, wide_bit);
        amoor_w(&narrow.raised, narrow_bit);
        amoor_d(&wide.raised, wide_bit);
        amoand_w(&narrow.cleared, ~narrow_bit);
        amoand_d(&wide.cleared, ~wide_bit);
        narrow_token = amoswap_w(&narrow.token, narrow_token);
        wide_token = amoswap_d(&wide.token, wide_token);
        amoxor_w(&narrow.flipped, narrow_bit);
        amoxor_d(&wide.flipped, wide_bit);
    }
    amoadd_d(&narrow_tokens, narrow_token);
    amoadd_d(&wide_tokens, wide_token);
    all_harts_barrier();

    if (hart == 0) {
        uint64_t numbers = rounds * harts;
        uint64_t last = numbers - 1;
        uint64_t sum = numbers * last / 2;
        uint64_t tokens = (uint64_t)harts * (harts + 1) / 2;
        uint32_t narrow_bits = harts >= 32 ? ~0u : (1u << harts) - 1;
        uint64_t wide_bits = harts >= 64 ? ~0ul : (1ul << harts) - 1;
        check("narrow sum", (uint32_t)narrow.sum, (uint32_t)sum);
        check("wide sum", wide.sum, sum);
        check("narrow largest", narrow.largest, last);
        check("wide largest", wide.largest, last);
        check("narrow smallest", narrow.smallest, -last);
        check("wide smallest", wide.smallest, -last);
        check("narrow highest", narrow.highest, (uint32_t)(last | 1ul << 31));
        check("wide highest", wide.highest, last | 1ul << 63);
        check("narrow lowest", narrow.lowest, 7);
        check("wide lowest", wide.lowest, 7);
        check("narrow flipped", narrow.flipped, 0);
        check("wide flipped", wide.flipped, 0);
        check("narrow raised", narrow.raised, narrow_bits);
        check("wide raised", wide.raised, wide_bits);
        check("narrow cleared", narrow.cleared, (uint32_t)~narrow_bits);
        check("wide cleared", wide.cleared, ~wide_bits);
        check("narrow tokens", narrow_tokens + narrow.token, tokens);
        check("wide tokens", wide_tokens + wide.token, tokens);
        pass("amo_mix: %lu rounds of every operation on each of %u harts", rounds, harts);
    }
}
