/* Check, then act: a bank account is overdrawn, though every withdrawal checked its balance.
 *
 * Every single access is atomic here: no addition or subtraction is ever lost, and the money's sum stays the
 * same.
 *
 * The bug. withdraw() looks whether there is enough, and then takes it. What it saw is out of date by the
 * time it acts.
 *
 *     step   hart 0                              hart 1                              balance
 *       1    load balance -> 100 (enough for 60)                                      100
 *       2                                        load balance -> 100 (enough for 80)  100
 *       3                                        AMOADD balance, -80                   20
 *       4    AMOADD balance, -60                                                      -40    (overdrawn)
 *
 * The fix. Check and act are one step: a compare-and-swap takes the money only if the balance is still the
 * one that was checked, and otherwise the check is done again.
 */
#include "cantus.h"

#define ROUNDS 200
#define ACCOUNTS 2
#define OPENING_BALANCE 100

static OWN_PAGE volatile int64_t balances[ACCOUNTS];

/* Takes the amount out of the account if there is enough in it; says whether it did. */
static bool withdraw(unsigned account, int64_t amount) {
#ifdef FIXED
    int64_t balance = balances[account];
    do {
        if (balance < amount)
            return false;
    } while (!__atomic_compare_exchange_n(&balances[account], &balance, balance - amount, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
#else
    if (balances[account] < amount)
        return false;
    __atomic_fetch_sub(&balances[account], amount, __ATOMIC_RELAXED);
#endif
    return true;
}

static void deposit(unsigned account, int64_t amount) {
    __atomic_fetch_add(&balances[account], amount, __ATOMIC_RELAXED);
}

static void transfer(unsigned from, unsigned to, int64_t amount, unsigned hart) {
    if (!withdraw(from, amount))
        return;
    int64_t left = balances[from];
    if (left < 0)
        fail(1, "bank_transfer: hart %u took %ld out of account %u, which is now at %ld", hart, amount, from,
             left);
    deposit(to, amount);
}

void main(unsigned hart) {
    uint64_t random = random_seed(hart);
    if (hart == 0)
        for (unsigned account = 0; account < ACCOUNTS; account++)
            balances[account] = OPENING_BALANCE;
    all_harts_barrier();
    for (unsigned round = 0; round < ROUNDS; round++) {
        think(random_next(&random) % 128);
        unsigned from = random_next(&random) % ACCOUNTS;
        int64_t amount = 1 + (int64_t)(random_next(&random) % OPENING_BALANCE);
        transfer(from, (from + 1) % ACCOUNTS, amount, hart);
    }
    all_harts_barrier();

    if (hart == 0) {
        int64_t sum = 0;
        for (unsigned account = 0; account < ACCOUNTS; account++)
            sum += balances[account];
        if (sum != ACCOUNTS * OPENING_BALANCE)
            fail(2, "bank_transfer: there is %ld in the bank instead of %d", sum, ACCOUNTS * OPENING_BALANCE);
        pass("bank_transfer: no account was ever overdrawn, and there is still %ld in the bank", sum);
    }
}
