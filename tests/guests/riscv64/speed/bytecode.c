/* An interpreter of a small language, with a jump through a table at the end of each of its instructions. A round counts
 * the primes below 400 by division: about 2,200,000 of this machine's instructions.
 */
#include "speed.h"

const char program[] = "bytecode";
volatile uint64_t work_rounds = 1;

#define LIMIT 400
#define PRIMES 78

enum code { PUSH, LOAD, STORE, ADD, REMAINDER, LESS, IF_ZERO, JUMP, END };

/* Variables: 0 the number, 1 the divisor, 2 the count. */
static const uint16_t instructions[] = {
    /* 0 */ PUSH, 0, STORE, 2, PUSH, 2, STORE, 0,
    /* 8: while number < LIMIT */ LOAD, 0, PUSH, LIMIT, LESS, IF_ZERO, 59, PUSH, 2, STORE, 1,
    /* 19: while divisor < number */ LOAD, 1, LOAD, 0, LESS, IF_ZERO, 43,
    /* 26: number % divisor == 0: not a prime */ LOAD, 0, LOAD, 1, REMAINDER, IF_ZERO, 50,
    /* 33 */ LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 19, END,
    /* 43: a prime */ LOAD, 2, PUSH, 1, ADD, STORE, 2,
    /* 50: the next number */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 8,
    /* 59 */ END,
};

static uint64_t interpret(const uint16_t *code) {
    static const void *const targets[] = {&&push, &&load, &&store, &&add, &&remainder, &&less, &&if_zero, &&jump, &&end};
    uint64_t stack[16], variables[3] = {0};
    uint64_t *top = stack;
    const uint16_t *at = code;
#define NEXT goto *targets[*at++]
    NEXT;
push:
    *top++ = *at++;
    NEXT;
load:
    *top++ = variables[*at++];
    NEXT;
store:
    variables[*at++] = *--top;
    NEXT;
add:
    top--;
    top[-1] += top[0];
    NEXT;
remainder:
    top--;
    top[-1] %= top[0];
    NEXT;
less:
    top--;
    top[-1] = top[-1] < top[0];
    NEXT;
if_zero:
    at = *--top == 0 ? code + *at : at + 1;
    NEXT;
jump:
    at = code + *at;
    NEXT;
end:
    return variables[2];
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    (void)hart;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t primes = interpret(instructions);
        if (primes != PRIMES)
            fail(2, "bytecode: %lu primes below %u", primes, LIMIT);
        sum += primes;
    }
    return sum;
}
