// Sizes that the assembler and the compiler share, in bytes.
#ifndef LAYOUT_H
#define LAYOUT_H

// A page for each hart: its struct, its stack, and at the end the frame.
#define HART_SIZE 4096
// Registers of a lower mode while a trap is handled, x0 to x31.
#define FRAME_SIZE 256
// The most harts.
#define HARTS_MAX 255

#endif
