/* Notices that nothing gets on any more. It counts its own rounds, in each of which it lets all others run, and takes the
 * absence of progress over many of them for a deadlock; an alarm ends a program in which even the watchdog hangs. */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* A round sleeps so long, so that others run even on one CPU. */
#define ROUND_MICROSECONDS 1000
/* So many rounds without progress are a deadlock. */
#define ROUNDS_MAX 200
/* Seconds, many times what a slow machine needs. */
#define ALARM_SECONDS 600

/* Waits until `done` is `wanted`, and gives 1; or 0 if nothing got on for ROUNDS_MAX rounds. */
static inline int all_get_on(atomic_long *progress, atomic_int *done, int wanted)
{
    alarm(ALARM_SECONDS);
    long seen = -1;
    for (int rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        if (atomic_load(done) == wanted)
            return 1;
        long now = atomic_load(progress);
        if (now != seen)
            rounds = 0;
        seen = now;
        sched_yield();
        usleep(ROUND_MICROSECONDS);
    }
    return 0;
}
