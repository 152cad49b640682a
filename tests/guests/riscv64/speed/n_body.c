/* Bodies that attract each other, in doubles: a sun and planets on round orbits in one plane, moved on by small steps
 * of time (leapfrog). A round is one step for all pairs of 5 bodies.
 *
 * The energy must stay nearly what it was.
 */
#include "speed.h"

const char program[] = "n_body";
volatile uint64_t work_rounds = 500;

#define BODIES 5
#define STEP 0.001

struct body {
    double place[3];
    double speed[3];
    double mass;
};

static double square_root(double x) {
    asm("fsqrt.d %0, %1" : "=f"(x) : "f"(x));
    return x;
}

static double squared_distance(const struct body *a, const struct body *b) {
    double sum = 0;
    for (unsigned axis = 0; axis < 3; axis++) {
        double d = a->place[axis] - b->place[axis];
        sum += d * d;
    }
    return sum;
}

static double energy(const struct body *bodies) {
    double sum = 0;
    for (unsigned i = 0; i < BODIES; i++) {
        const double *speed = bodies[i].speed;
        sum += 0.5 * bodies[i].mass * (speed[0] * speed[0] + speed[1] * speed[1] + speed[2] * speed[2]);
        for (unsigned j = 0; j < i; j++)
            sum -= bodies[i].mass * bodies[j].mass / square_root(squared_distance(&bodies[i], &bodies[j]));
    }
    return sum;
}

static void step(struct body *bodies) {
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned j = i + 1; j < BODIES; j++) {
            struct body *a = &bodies[i], *b = &bodies[j];
            double square = squared_distance(a, b);
            double factor = STEP / (square * square_root(square));
            for (unsigned axis = 0; axis < 3; axis++) {
                double d = a->place[axis] - b->place[axis];
                a->speed[axis] -= d * b->mass * factor;
                b->speed[axis] += d * a->mass * factor;
            }
        }
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned axis = 0; axis < 3; axis++)
            bodies[i].place[axis] += STEP * bodies[i].speed[axis];
}

uint64_t compute(unsigned hart, uint64_t rounds) {
    (void)hart;
    struct body bodies[BODIES] = {{.mass = 40.0}};
    for (unsigned i = 1; i < BODIES; i++) {
        double radius = (double)i * (double)i + 1.0;
        bodies[i].place[i % 2] = radius;
        bodies[i].place[2] = 0.01 * (double)i;
        bodies[i].speed[1 - i % 2] = square_root(bodies[0].mass / radius);
        bodies[i].mass = 0.001 * (double)i;
    }
    double begin = energy(bodies);
    for (uint64_t round = 0; round < rounds; round++)
        step(bodies);
    double change = (energy(bodies) - begin) / begin;
    if (change < -0.01 || change > 0.01)
        fail(2, "n_body: the energy has changed");
    uint64_t sum = 0;
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned axis = 0; axis < 3; axis++) {
            uint64_t bits;
            asm("fmv.x.d %0, %1" : "=r"(bits) : "f"(bodies[i].place[axis]));
            sum = sum * 3 + bits;
        }
    return sum;
}
