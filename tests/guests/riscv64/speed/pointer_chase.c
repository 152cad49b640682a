/* Follows pointers through memory: every load waits for the one before. A round visits 16,384 places on 16,384 lines,
 * 1 MiB, in one random cycle (Sattolo, 1986).
 */
#include "speed.h"

const char program[] = "pointer_chase";
volatile uint64_t work_rounds = 4;

#define PLACES 16384

struct place {
    struct place *next;
    uint64_t number;
} OWN_LINE;

static NOINIT struct place memories[WORKING_MAX][PLACES];

uint64_t compute(unsigned hart, uint64_t rounds) {
    struct place *places = memories[hart];
    for (unsigned i = 0; i < PLACES; i++) {
        places[i].next = &places[i];
        places[i].number = i;
    }
    uint64_t random = random_seed(0);
    for (unsigned i = PLACES - 1; i > 0; i--) {
        unsigned j = random_next(&random) % i;
        struct place *next = places[i].next;
        places[i].next = places[j].next;
        places[j].next = next;
    }
    struct place *place = places;
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < PLACES; i++) {
            sum += place->number;
            place = place->next;
        }
        if (place != places)
            fail(2, "pointer_chase: the places are not on one cycle");
    }
    return sum * 3 + place->number;
}
