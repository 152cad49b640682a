/* What integer benchmarks of embedded systems do: a list that is sorted and searched, a product of small matrices, a
 * machine that reads numbers from text, and a checksum over what came out.
 *
 * A round is about 80,000 instructions.
 */
#include "speed.h"

typedef __INT16_TYPE__ int16_t;

const char program[] = "integer_mix";
volatile uint64_t work_rounds = 20;

#define NODES 64
#define SIDE 16

struct node {
    struct node *next;
    int32_t key;
    int32_t value;
};

struct memory {
    struct node nodes[NODES];
    int16_t left[SIDE][SIDE];
    int16_t right[SIDE][SIDE];
    int32_t product[SIDE][SIDE];
    char text[512];
} OWN_PAGE;

static NOINIT struct memory memories[WORKING_MAX];

/* A cyclic redundancy check over 16 bits (CRC-16/ARC), bit by bit. */
static uint16_t checksum(uint16_t sum, uint32_t word) {
    for (unsigned bit = 0; bit < 32; bit++, word >>= 1)
        sum = (sum ^ word) & 1 ? sum >> 1 ^ 0xa001 : sum >> 1;
    return sum;
}

/* Merges two sorted lists. */
static struct node *merge(struct node *a, struct node *b) {
    struct node *head = NULL;
    struct node **end = &head;
    while (a != NULL && b != NULL) {
        struct node **smaller = a->key <= b->key ? &a : &b;
        *end = *smaller;
        end = &(*smaller)->next;
        *smaller = *end;
    }
    *end = a != NULL ? a : b;
    return head;
}

static struct node *sort(struct node *list, unsigned length) {
    if (length < 2) {
        if (length == 1)
            list->next = NULL;
        return length == 0 ? NULL : list;
    }
    struct node *middle = list;
    for (unsigned i = 0; i < length / 2; i++)
        middle = middle->next;
    struct node *second = sort(middle, length - length / 2);
    return merge(sort(list, length / 2), second);
}

static uint16_t lists(struct memory *memory, uint64_t *random, uint16_t sum) {
    for (unsigned i = 0; i < NODES; i++) {
        memory->nodes[i].next = i + 1 < NODES ? &memory->nodes[i + 1] : NULL;
        memory->nodes[i].key = random_next(random) % 1000;
        memory->nodes[i].value = i;
    }
    struct node *list = sort(memory->nodes, NODES);
    for (int32_t wanted = 0; wanted < 1000; wanted += 50) {
        struct node *found = list;
        while (found != NULL && found->key < wanted)
            found = found->next;
        if (found != NULL)
            sum = checksum(sum, found->value);
    }
    for (; list->next != NULL; list = list->next)
        if (list->key > list->next->key)
            fail(2, "integer_mix: a list is not sorted");
    return sum;
}

static uint16_t matrices(struct memory *memory, uint64_t *random, uint16_t sum) {
    for (unsigned i = 0; i < SIDE; i++)
        for (unsigned j = 0; j < SIDE; j++) {
            uint64_t number = random_next(random);
            memory->left[i][j] = number;
            memory->right[i][j] = number >> 16;
        }
    int32_t trace = 0;
    for (unsigned i = 0; i < SIDE; i++)
        for (unsigned j = 0; j < SIDE; j++) {
            int32_t cell = 0;
            for (unsigned k = 0; k < SIDE; k++)
                cell += (memory->left[i][k] * memory->right[k][j]) >> 4 & 0xffff;
            memory->product[i][j] = cell;
            trace += i == j ? cell : 0;
        }
    return checksum(sum, trace);
}

enum state { START, SIGN, DIGITS, FRACTION, INVALID, STATES };

/* Reads numbers with signs and fractions, with commas between them, and counts the states that it ends in. */
static uint16_t text(struct memory *memory, uint64_t *random, uint16_t sum) {
    static const char letters[16] = "0123456789,,.+-x";
    for (unsigned i = 0; i < sizeof memory->text; i++)
        memory->text[i] = letters[random_next(random) >> 20 & 15];
    uint32_t ended[STATES] = {0};
    enum state state = START;
    for (unsigned i = 0; i < sizeof memory->text; i++) {
        char c = memory->text[i];
        if (c == ',') {
            ended[state]++;
            state = START;
            continue;
        }
        bool digit = c >= '0' && c <= '9';
        switch (state) {
        case START:
            state = digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : INVALID;
            break;
        case SIGN:
            state = digit ? DIGITS : c == '.' ? FRACTION : INVALID;
            break;
        case DIGITS:
            state = digit ? DIGITS : c == '.' ? FRACTION : INVALID;
            break;
        case FRACTION:
            state = digit ? FRACTION : INVALID;
            break;
        default:
            break;
        }
    }
    for (unsigned i = 0; i < STATES; i++)
        sum = checksum(sum, ended[i]);
    return sum;
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    uint64_t random = random_seed(0);
    uint16_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        sum = lists(&memories[hart], &random, sum);
        sum = matrices(&memories[hart], &random, sum);
        sum = text(&memories[hart], &random, sum);
    }
    return sum;
}
