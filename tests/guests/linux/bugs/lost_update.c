/* A bank: clerks move money between two accounts, and a deposit is lost.
 *
 * The balance is read before the lock is taken and written under it, so that a deposit of another clerk in between is
 * overwritten. Money neither comes nor goes in the fixed one. */
#include "bug.h"

#define CLERKS 4
#define START 1000000L

static pthread_mutex_t ledger = PTHREAD_MUTEX_INITIALIZER;
static volatile long balance[2] = {START, START};
static long transfers;

static void *clerk(void *argument)
{
    long number = (long)argument;
    begin_on(number, CLERKS);
    for (long i = 0; i < transfers; i++) {
        int from = (int)((number + i) % 2), to = 1 - from;
#ifndef FIXED
        long funds = balance[from];
#endif
        pthread_mutex_lock(&ledger);
#ifdef FIXED
        long funds = balance[from];
#endif
        balance[from] = funds - 1;
        balance[to] = balance[to] + 1;
        pthread_mutex_unlock(&ledger);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    transfers = rounds_of(argc, argv, 50000);
    pthread_t clerks[CLERKS];
    for (long i = 0; i < CLERKS; i++)
        if (pthread_create(&clerks[i], NULL, clerk, (void *)i) != 0)
            return 2;
    for (int i = 0; i < CLERKS; i++)
        pthread_join(clerks[i], NULL);
    long total = balance[0] + balance[1];
    if (total != 2 * START)
        STRUCK("lost_update", "the bank holds %ld, not %ld", total, 2 * START);
    return did_not_strike("lost_update");
}
