/* Counts cycles and instructions of a loop with the kernel's performance counters, as `perf stat` does.
 *
 * Prints whose counters they are and both counts; the status is 1 where a counter is missing or counts nothing that the loop
 * can have taken. */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 1000000L

static int counter(unsigned long event)
{
    struct perf_event_attr attributes = { .type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = event,
                                          .disabled = 1 };
    return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL);
}

/* A round is at least two instructions. */
static int is_plausible(long count) { return count >= 2 * ROUNDS && count < 100 * ROUNDS; }

int main(void)
{
    const unsigned long events[2] = { PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS };
    int counters[2];
    long counts[2];
    for (int i = 0; i < 2; i++) {
        counters[i] = counter(events[i]);
        if (counters[i] < 0 || ioctl(counters[i], PERF_EVENT_IOC_ENABLE, 0) != 0) {
            perror("a counter");
            return 1;
        }
    }
    for (volatile long round = 0; round < ROUNDS; round++)
        ;
    for (int i = 0; i < 2; i++) {
        if (ioctl(counters[i], PERF_EVENT_IOC_DISABLE, 0) != 0 ||
            read(counters[i], &counts[i], sizeof counts[i]) != sizeof counts[i]) {
            perror("a count");
            return 1;
        }
    }
    printf("COUNTED %ld cycles %ld instructions\n", counts[0], counts[1]);
    return !is_plausible(counts[0]) || !is_plausible(counts[1]);
}
