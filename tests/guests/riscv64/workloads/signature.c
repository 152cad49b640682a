/* Leaves a signature, as architectural tests do: the words from begin_signature to end_signature are what the
 * run computed.
 *
 * The words are results of instructions whose corner cases are easy to get wrong.
 */
#include "cantus.h"

#define WORDS 16

volatile uint32_t signature[WORDS] OWN_LINE;
asm(".globl begin_signature, end_signature\n"
    ".set begin_signature, signature\n"
    ".set end_signature, signature + 4 * 16");

#define OPERATION(name, x, y)                                                                     \
    ({                                                                                            \
        uint64_t result_;                                                                         \
        asm(#name " %0, %1, %2" : "=r"(result_) : "r"((uint64_t)(x)), "r"((uint64_t)(y)));        \
        result_;                                                                                  \
    })

static unsigned used;

static void leave(uint64_t result) {
    signature[used++] = (uint32_t)result;
    signature[used++] = result >> 32;
}

void main(unsigned hart) {
    uint64_t smallest = 1ul << 63;
    if (hart != 0)
        return;
    leave(OPERATION(mulh, smallest, -1));
    leave(OPERATION(mulhsu, -1, -1));
    leave(OPERATION(div, smallest, -1));
    leave(OPERATION(rem, -7, 0));
    leave(OPERATION(divuw, 0xffffffff00000007, 2));
    leave(OPERATION(remw, 0x80000000, -1));
    leave(OPERATION(sraw, 0x80000000, 33));
    leave(OPERATION(sltu, 0, -1));
    pass("signature: %u words", used);
}
