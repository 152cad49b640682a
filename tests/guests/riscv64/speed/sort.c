/* Sorts numbers by partitioning (Hoare, 1961), the short rest by insertion. A round sorts 4,096 numbers. */
#include "speed.h"

const char program[] = "sort";
volatile uint64_t work_rounds = 4;

#define NUMBERS 4096
#define SHORT 12

static NOINIT OWN_PAGE uint64_t memories[WORKING_MAX][NUMBERS];

static void insert(uint64_t *numbers, int64_t length) {
    for (int64_t i = 1; i < length; i++) {
        uint64_t number = numbers[i];
        int64_t at = i;
        for (; at > 0 && numbers[at - 1] > number; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

static void sort(uint64_t *numbers, int64_t length) {
    while (length > SHORT) {
        uint64_t pivot = numbers[length / 2];
        int64_t low = -1, high = length;
        for (;;) {
            do
                low++;
            while (numbers[low] < pivot);
            do
                high--;
            while (numbers[high] > pivot);
            if (low >= high)
                break;
            uint64_t number = numbers[low];
            numbers[low] = numbers[high];
            numbers[high] = number;
        }
        sort(numbers, high + 1);
        numbers += high + 1;
        length -= high + 1;
    }
    insert(numbers, length);
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    uint64_t *numbers = memories[hart];
    uint64_t random = random_seed(0);
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < NUMBERS; i++)
            numbers[i] = random_next(&random);
        sort(numbers, NUMBERS);
        for (unsigned i = 1; i < NUMBERS; i++)
            if (numbers[i - 1] > numbers[i])
                fail(2, "sort: the numbers are not sorted");
        sum = sum * 3 + numbers[NUMBERS / 3];
    }
    return sum;
}
