/* Every hart says hello, in whatever order they come; the last one ends the machine. */
#include "cantus.h"

static uint32_t said_hello;

void main(unsigned hart) {
    print("hello from hart %u of %u\n", hart, harts);
    if (__atomic_add_fetch(&said_hello, 1, __ATOMIC_ACQ_REL) == harts)
        pass("hello: every hart was here");
}
