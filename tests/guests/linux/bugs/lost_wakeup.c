/* A worker looks whether there is work, and then sleeps; the work comes in between, and its signal wakes nobody.
 *
 * The flag is tested outside of the mutex and the worker then waits without testing it again. Work comes one by one, and
 * only when the last one was taken, so that one lost signal stops everything. */
#include "bug.h"
#include "watchdog.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_came = PTHREAD_COND_INITIALIZER, work_taken = PTHREAD_COND_INITIALIZER;
static atomic_int work;
static atomic_long progress;
static atomic_int done;
static long items;

/* What is done with an item; some take longer. */
static void use(long item)
{
    for (volatile long step = 0; step < item % 32 * 50; step++)
        ;
}

static void *worker(void *argument)
{
    (void)argument;
    begin_on(0, 2);
    for (long i = 0; i < items; i++) {
#ifdef FIXED
        pthread_mutex_lock(&mutex);
        while (atomic_load(&work) == 0)
            pthread_cond_wait(&work_came, &mutex);
        pthread_mutex_unlock(&mutex);
#else
        if (atomic_load(&work) == 0) {
            pthread_mutex_lock(&mutex);
            pthread_cond_wait(&work_came, &mutex);
            pthread_mutex_unlock(&mutex);
        }
#endif
        pthread_mutex_lock(&mutex);
        atomic_store(&work, 0);
        pthread_cond_signal(&work_taken);
        pthread_mutex_unlock(&mutex);
        use(i);
        atomic_fetch_add(&progress, 1);
    }
    atomic_fetch_add(&done, 1);
    return NULL;
}

static void *giver(void *argument)
{
    (void)argument;
    begin_on(1, 2);
    for (long i = 0; i < items; i++) {
        pthread_mutex_lock(&mutex);
        while (atomic_load(&work) != 0)
            pthread_cond_wait(&work_taken, &mutex);
        atomic_store(&work, 1);
        pthread_cond_signal(&work_came);
        pthread_mutex_unlock(&mutex);
    }
    atomic_fetch_add(&done, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    items = rounds_of(argc, argv, 2000);
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, worker, NULL) != 0 || pthread_create(&threads[1], NULL, giver, NULL) != 0)
        return 2;
    if (!all_get_on(&progress, &done, 2))
        STRUCK("lost_wakeup", "the worker sleeps over item %ld", atomic_load(&progress));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return did_not_strike("lost_wakeup");
}
