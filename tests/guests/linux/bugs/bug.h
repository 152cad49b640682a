/* How a program with a bug ends: `BUG name …` and status 1 when the bug struck, else `OK name` and status 0. */
#pragma once

/* For sched_setaffinity. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef FIXED
#define VARIANT "-fixed"
#else
#define VARIANT ""
#endif

static atomic_flag told = ATOMIC_FLAG_INIT;

/* By a thread that found the bug while others run: the first one speaks and ends them all. */
#define STRUCK(name, ...)                                                                                              \
    do {                                                                                                               \
        while (atomic_flag_test_and_set(&told))                                                                        \
            pause();                                                                                                   \
        char text[160];                                                                                                \
        int length = snprintf(text, sizeof text, "BUG " name VARIANT " " __VA_ARGS__);                                 \
        text[length] = '\n';                                                                                           \
        _exit(write(STDOUT_FILENO, text, (size_t)length + 1) < 0 ? 2 : 1);                                             \
    } while (0)

/* At the end of a run in which it did not strike. */
static inline int did_not_strike(const char *name)
{
    printf("OK %s%s\n", name, VARIANT);
    return 0;
}

/* So many rounds as the first argument says, or the program's own number. */
static inline long rounds_of(int argc, char **argv, long usual)
{
    long rounds = argc > 1 ? atol(argv[1]) : usual;
    return rounds > 0 ? rounds : usual;
}

/* Threads that have come to begin_on. */
static atomic_long ready;

/* Keeps this thread on one CPU, counted round, and lets it begin when so many threads are there. Threads that are short, or
 * that wake each other, are otherwise put on the same CPU, where they take turns at their calls to the kernel and nowhere
 * else; and a barrier that sleeps lets the last one be done before the others wake. */
static inline void begin_on(long cpu, long threads)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)(cpus > 0 ? cpu % cpus : 0), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        perror("sched_setaffinity");
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < threads)
        sched_yield();
}
