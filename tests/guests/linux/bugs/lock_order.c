/* Two philosophers with two forks: each takes the one at its left and then the one at its right, and when both hold their
 * left one, nobody eats. The fixed ones both take the fork with the smaller number first. */
#include "bug.h"
#include "watchdog.h"

#define PHILOSOPHERS 2

static pthread_mutex_t forks[PHILOSOPHERS];
static atomic_long progress;
static atomic_int done;
static long meals;

static void *philosopher(void *argument)
{
    begin_on((long)argument, PHILOSOPHERS);
    int first = (int)(long)argument, second = (first + 1) % PHILOSOPHERS;
#ifdef FIXED
    if (first > second) {
        int higher = first;
        first = second;
        second = higher;
    }
#endif
    for (long i = 0; i < meals; i++) {
        pthread_mutex_lock(&forks[first]);
        pthread_mutex_lock(&forks[second]);
        atomic_fetch_add(&progress, 1);
        pthread_mutex_unlock(&forks[second]);
        pthread_mutex_unlock(&forks[first]);
    }
    atomic_fetch_add(&done, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    meals = rounds_of(argc, argv, 30000);
    pthread_t threads[PHILOSOPHERS];
    for (int i = 0; i < PHILOSOPHERS; i++)
        pthread_mutex_init(&forks[i], NULL);
    for (long i = 0; i < PHILOSOPHERS; i++)
        if (pthread_create(&threads[i], NULL, philosopher, (void *)i) != 0)
            return 2;
    if (!all_get_on(&progress, &done, PHILOSOPHERS))
        STRUCK("lock_order", "everybody waits for a fork after %ld meals", atomic_load(&progress));
    for (int i = 0; i < PHILOSOPHERS; i++)
        pthread_join(threads[i], NULL);
    return did_not_strike("lock_order");
}
