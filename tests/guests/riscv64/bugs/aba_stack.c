/* ABA: the top of a stack is the same node again, but the stack below it is another.
 *
 * A stack of nodes; pop() reads which node is on top and which is below it, and then puts the lower one in
 * the top's place if the top has not changed.
 *
 * The bug. "It has not changed" is judged by the node's number alone. In between, the top may have been
 * taken, the node below it taken as well, and the top put back. Then the top is the same again, but the node
 * below it is somebody's.
 *
 *     step   hart 0                            hart 1                  stack, top first
 *       1    pop: load head -> A                                        A B C
 *       2         load next[A] -> B                                     A B C
 *       3                                      pop -> A                 B C
 *       4                                      pop -> B (and keeps it)  C
 *       5                                      push A                   A C
 *       6         head is A: replace it by B                            B ...  (B is hart 1's, too)
 *       7    pop -> B                                                          (two harts have B)
 *
 * The fix. The head carries a version beside the node's number, which every pop raises, so that a head that
 * came back is not taken for one that stayed.
 *
 * The head is replaced by an AMOSWAP that takes it out for a moment, and a store that puts the old or the new
 * one in. An LR/SC pair around all of pop() would notice step 5; this program compares values, as any
 * compare-and-swap does.
 */
#include "cantus.h"

#define ROUNDS 80
#define NODES_PER_HART 3
#define NOTHING 0    /* instead of a node's number, which starts at 1: the stack ends here */
#define TAKEN (~0ul) /* instead of the head: a hart has it in hand, and will put one back at once */

#ifdef FIXED
#define VERSION_STEP 1
#else
#define VERSION_STEP 0
#endif

/* Version in the upper half, number of the top node in the lower. */
static OWN_PAGE volatile uint64_t head;
static OWN_PAGE volatile uint32_t next[1 + NODES_PER_HART * HARTS_MAX];
/* Who has the node: the hart's number + 1, or 0 while it is on the stack. */
static OWN_PAGE volatile uint32_t owners[1 + NODES_PER_HART * HARTS_MAX];

static uint32_t node_of(uint64_t head_seen) {
    return (uint32_t)head_seen;
}

static uint32_t version_of(uint64_t head_seen) {
    return head_seen >> 32;
}

static uint64_t make_head(uint32_t version, uint32_t node) {
    return (uint64_t)version << 32 | node;
}

static uint64_t read_head(void) {
    uint64_t seen;
    while ((seen = load_acquire(&head)) == TAKEN)
        pause();
    return seen;
}

/* Puts `wanted` in the place of the head if that is `expected`; says whether it was. */
static bool replace_head(uint64_t expected, uint64_t wanted) {
    uint64_t seen;
    while ((seen = __atomic_exchange_n(&head, TAKEN, __ATOMIC_ACQUIRE)) == TAKEN)
        pause();
    store_release(&head, seen == expected ? wanted : seen);
    return seen == expected;
}

static uint32_t pop(unsigned hart) {
    for (;;) {
        uint64_t seen = read_head();
        uint32_t node = node_of(seen);
        if (node == NOTHING)
            fail(1, "aba_stack: the stack is empty, though there are %u nodes and no hart has more than 2",
                 NODES_PER_HART * harts);
        uint64_t below = make_head(version_of(seen) + VERSION_STEP, next[node]);
        if (replace_head(seen, below)) {
            if (owners[node] != 0)
                fail(1, "aba_stack: hart %u was given node %u, which hart %u still has", hart, node,
                     owners[node] - 1);
            owners[node] = hart + 1;
            return node;
        }
    }
}

static void push(uint32_t node) {
    owners[node] = 0;
    for (;;) {
        uint64_t seen = read_head();
        next[node] = node_of(seen);
        if (replace_head(seen, make_head(version_of(seen), node)))
            return;
    }
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    for (unsigned i = 0; i < NODES_PER_HART; i++)
        push(1 + hart * NODES_PER_HART + i);
    all_harts_barrier();
    for (unsigned round = 0; round < ROUNDS; round++) {
        think(random_next(&random) % 32);
        uint32_t first = pop(hart);
        uint32_t second = pop(hart);
        push(first);
        think(random_next(&random) % 64); /* works with the second node */
        push(second);
    }
    all_harts_barrier();

    if (hart == 0) {
        uint32_t nodes = NODES_PER_HART * harts;
        uint32_t on_stack = 0; /* or more than there are nodes, if the stack has become a ring */
        for (uint32_t node = node_of(read_head()); node != NOTHING && on_stack <= nodes; node = next[node])
            on_stack += 1;
        if (on_stack != nodes)
            fail(1, "aba_stack: %u nodes are on the stack at the end instead of %u", on_stack, nodes);
        pass("aba_stack: all %u nodes are on the stack at the end", on_stack);
    }
}
