/* Products of matrices of doubles. A round is one product: 262,144 multiplications and additions. */
#include "speed.h"

const char program[] = "matrix";
volatile uint64_t work_rounds = 1;

#define SIDE 64

struct memory {
    double left[SIDE][SIDE];
    double right[SIDE][SIDE];
    double product[SIDE][SIDE];
} OWN_PAGE;

static NOINIT struct memory memories[WORKING_MAX];

uint64_t compute(unsigned hart, uint64_t rounds) {
    struct memory *memory = &memories[hart];
    for (unsigned i = 0; i < SIDE; i++)
        for (unsigned j = 0; j < SIDE; j++) {
            memory->left[i][j] = 1.0 / (double)(i + j + 1);
            memory->right[i][j] = (double)(i == j) + 0.125 / (double)(i + 2 * j + 1);
        }
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < SIDE; i++)
            for (unsigned j = 0; j < SIDE; j++) {
                double cell = 0;
                for (unsigned k = 0; k < SIDE; k++)
                    cell += memory->left[i][k] * memory->right[k][j];
                memory->product[i][j] = cell;
            }
        for (unsigned i = 0; i < SIDE; i++)
            for (unsigned j = 0; j < SIDE; j++)
                memory->left[i][j] = memory->product[i][j] * 0.5 + 1.0;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < SIDE; i++)
        for (unsigned j = 0; j < SIDE; j++) {
            uint64_t bits;
            asm("fmv.x.d %0, %1" : "=r"(bits) : "f"(memory->left[i][j]));
            sum = sum * 3 + bits;
        }
    return sum;
}
