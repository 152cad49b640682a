/* The box office: two clerks sell the seats of one theatre, and two people come to sit on the same chair.
 *
 * Every hart is a clerk. A clerk takes the next seat of the plan, asks whether it is free, and if so sells
 * it.
 *
 * The bug. Between seat_is_free() and write_ticket(), another clerk may sell the seat.
 *
 *     step   hart 0                                hart 1                                holders[17]
 *       1    seat_is_free: load holders -> 0                                             0
 *       2                                          seat_is_free: load holders -> 0       0
 *       3                                          write_ticket: store holders <- 2      2
 *       4    write_ticket: store holders <- 1                                            1   (two tickets)
 *
 * The fix. Asking and selling are one step: a compare-and-swap writes the clerk's name only where there is
 * none yet.
 */
#include "cantus.h"

#define SEATS 24

/* The seating plan: who sold the seat (the clerk's number + 1), or 0 while it is free. */
static OWN_PAGE volatile uint32_t holders[SEATS];
/* The tickets that each clerk has handed out: a copy that the clerk keeps. */
static NOINIT OWN_PAGE volatile uint8_t tickets[HARTS_MAX][SEATS];

static void hand_out_ticket(unsigned seat, unsigned clerk) {
    tickets[clerk][seat] = 1;
}

#ifdef FIXED
static __attribute__((noinline)) bool sell(unsigned seat, unsigned clerk) {
    uint32_t nobody = 0;
    if (!__atomic_compare_exchange_n(&holders[seat], &nobody, clerk + 1, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return false;
    hand_out_ticket(seat, clerk);
    return true;
}
#else
static __attribute__((noinline)) bool seat_is_free(unsigned seat) {
    return holders[seat] == 0;
}

static __attribute__((noinline)) void write_ticket(unsigned seat, unsigned clerk) {
    holders[seat] = clerk + 1;
    hand_out_ticket(seat, clerk);
}

static __attribute__((noinline)) bool sell(unsigned seat, unsigned clerk) {
    if (!seat_is_free(seat))
        return false;
    write_ticket(seat, clerk);
    return true;
}
#endif

/* After the performance: no seat may have been sold by two clerks. */
static void audit(void) {
    for (unsigned seat = 0; seat < SEATS; seat++) {
        unsigned sellers[2] = {0, 0};
        unsigned count = 0;
        for (unsigned clerk = 0; clerk < harts && count < 2; clerk++)
            if (tickets[clerk][seat] != 0)
                sellers[count++] = clerk;
        if (count == 0)
            fail(2, "box_office: seat %u was not sold at all", seat);
        if (count == 2)
            fail(1, "box_office: seat %u was sold twice, by clerk %u and by clerk %u", seat, sellers[0],
                 sellers[1]);
    }
    pass("box_office: %u seats, %u tickets", SEATS, SEATS);
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    for (unsigned seat = 0; seat < SEATS; seat++)
        tickets[hart][seat] = 0;
    all_harts_barrier();
    think(random_next(&random) % 1024); /* opens the counter */
    for (unsigned seat = 0; seat < SEATS; seat++)
        if (sell(seat, hart))
            think(random_next(&random) % 1024); /* the customer counts the coins */
    all_harts_barrier();

    if (hart == 0)
        audit();
}
