/* A lock-free stack whose nodes are used again: the ABA problem.
 *
 * A pop reads the top node A and its successor B, and then swaps the top from A to B. If others meanwhile pop A and B and push
 * A again, the swap succeeds, and B, which somebody owns, is on the stack once more. The fixed stack counts its changes
 * beside the index of the top in one word, so that the swap fails. (R. K. Treiber, "Systems Programming: Coping with
 * Parallelism", IBM RJ 5118, 1986; both variants need a compare-and-swap only.) */
#include "bug.h"

#include <stdatomic.h>
#include <stdint.h>

#define THREADS 4
#define NODES 8
#define NOTHING 0

/* A node's index, from 1, in the low half; the number of changes in the high half, always 0 in the broken one. */
static _Atomic uint64_t top;
static _Atomic uint32_t successor[NODES + 1];
static atomic_int owners[NODES + 1];
static long rounds;

static uint64_t changed(uint64_t old, uint32_t node)
{
#ifdef FIXED
    return ((old >> 32) + 1) << 32 | node;
#else
    (void)old;
    return node;
#endif
}

static uint32_t pop(void)
{
    uint64_t old = atomic_load(&top);
    for (;;) {
        uint32_t node = (uint32_t)old;
        if (node == NOTHING)
            return NOTHING;
        uint32_t next = atomic_load(&successor[node]);
        if (atomic_compare_exchange_weak(&top, &old, changed(old, next)))
            return node;
    }
}

static void push(uint32_t node)
{
    uint64_t old = atomic_load(&top);
    do
        atomic_store(&successor[node], (uint32_t)old);
    while (!atomic_compare_exchange_weak(&top, &old, changed(old, node)));
}

static void *user(void *argument)
{
    begin_on((long)argument, THREADS);
    for (long i = 0; i < rounds; i++) {
        uint32_t mine[2];
        for (int k = 0; k < 2; k++) {
            mine[k] = pop();
            if (mine[k] != NOTHING && atomic_fetch_add(&owners[mine[k]], 1) != 0)
                STRUCK("aba_stack", "node %u has two owners in round %ld", (unsigned)mine[k], i);
        }
        /* The first one goes back at once, and is on top again; the second one is in use a little longer. */
        for (int k = 0; k < 2; k++) {
            if (mine[k] != NOTHING) {
                for (volatile int use = 0; use < 100 * k; use++)
                    ;
                atomic_fetch_sub(&owners[mine[k]], 1);
                push(mine[k]);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    rounds = rounds_of(argc, argv, 10000);
    for (uint32_t node = 1; node <= NODES; node++)
        push(node);
    pthread_t users[THREADS];
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&users[i], NULL, user, (void *)i) != 0)
            return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_join(users[i], NULL);
    int left = 0;
    while (left <= NODES && pop() != NOTHING)
        left++;
    if (left != NODES)
        STRUCK("aba_stack", "%d nodes are on the stack, not %d", left, NODES);
    return did_not_strike("aba_stack");
}
