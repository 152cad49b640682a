/* Waits for an alarm of the real-time clock, as rtcwake does (rtc(4)).
 *
 *   alarm SECONDS      the alarm is set so many seconds from now
 *
 * Prints how many seconds later it went off, by that clock; the status is 1 if there is none that can do so. */
#include <fcntl.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define CLOCK "/dev/rtc0"

static void require(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        exit(1);
    }
}

/* Its fields are those of a broken-down time. */
static time_t now(int clock)
{
    struct rtc_time time;
    require(ioctl(clock, RTC_RD_TIME, &time) == 0, "RTC_RD_TIME");
    struct tm fields = { .tm_sec = time.tm_sec, .tm_min = time.tm_min, .tm_hour = time.tm_hour,
                         .tm_mday = time.tm_mday, .tm_mon = time.tm_mon, .tm_year = time.tm_year };
    return timegm(&fields);
}

int main(int argc, char **argv)
{
    int clock = open(CLOCK, O_RDONLY);
    require(clock >= 0, CLOCK);
    time_t begin = now(clock);
    time_t due = begin + (argc > 1 ? atoi(argv[1]) : 1);
    struct tm fields;
    gmtime_r(&due, &fields);
    struct rtc_wkalrm alarm = { .enabled = 1,
                                .time = { .tm_sec = fields.tm_sec, .tm_min = fields.tm_min, .tm_hour = fields.tm_hour,
                                          .tm_mday = fields.tm_mday, .tm_mon = fields.tm_mon,
                                          .tm_year = fields.tm_year } };
    require(ioctl(clock, RTC_WKALM_SET, &alarm) == 0, "RTC_WKALM_SET");
    unsigned long interrupts;
    require(read(clock, &interrupts, sizeof interrupts) == sizeof interrupts, "read");
    printf("ALARM %ld %s\n", (long)(now(clock) - begin), interrupts & RTC_AF ? "alarm" : "something else");
    return 0;
}
