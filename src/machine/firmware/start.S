# Where every hart starts, and every trap into machine mode arrives.
#
# On entry a0 is the hart's number, a1 the address of the device tree, a2 that of `struct boot_info` (see sbi.h).
# While a lower mode runs, `mscratch` points to where the hart's frame is.

#include "layout.h"

    .section .text.start, "ax"
    .globl _start
_start:
    la      sp, harts
    li      t0, HART_SIZE
    mul     t1, t0, a0
    add     sp, sp, t1
    add     sp, sp, t0
    addi    sp, sp, -FRAME_SIZE     # the place of the frame; the stack grows down from it
    csrw    mscratch, sp
    la      t0, trap
    csrw    mtvec, t0
    tail    start

    .section .text, "ax"
    .balign 4
# A trap from a lower mode: saves what C code may change, and gives C the frame.
trap:
    csrrw   tp, mscratch, tp        # tp: the frame; mscratch: the lower mode's tp
    sd      sp, 2*8(tp)
    mv      sp, tp
    sd      ra, 1*8(sp)
    sd      gp, 3*8(sp)
    sd      t0, 5*8(sp)
    sd      t1, 6*8(sp)
    sd      t2, 7*8(sp)
    sd      a0, 10*8(sp)
    sd      a1, 11*8(sp)
    sd      a2, 12*8(sp)
    sd      a3, 13*8(sp)
    sd      a4, 14*8(sp)
    sd      a5, 15*8(sp)
    sd      a6, 16*8(sp)
    sd      a7, 17*8(sp)
    sd      t3, 28*8(sp)
    sd      t4, 29*8(sp)
    sd      t5, 30*8(sp)
    sd      t6, 31*8(sp)
    csrr    t0, mscratch
    sd      t0, 4*8(sp)
    csrw    mscratch, tp
    mv      a0, sp
    call    handle_trap
    ld      ra, 1*8(sp)
    ld      gp, 3*8(sp)
    ld      tp, 4*8(sp)
    ld      t0, 5*8(sp)
    ld      t1, 6*8(sp)
    ld      t2, 7*8(sp)
    ld      a0, 10*8(sp)
    ld      a1, 11*8(sp)
    ld      a2, 12*8(sp)
    ld      a3, 13*8(sp)
    ld      a4, 14*8(sp)
    ld      a5, 15*8(sp)
    ld      a6, 16*8(sp)
    ld      a7, 17*8(sp)
    ld      t3, 28*8(sp)
    ld      t4, 29*8(sp)
    ld      t5, 30*8(sp)
    ld      t6, 31*8(sp)
    ld      sp, 2*8(sp)
    mret

# enter_lower(pc, a0, a1): leaves for supervisor mode, and forgets where it was called from.
    .globl enter_lower
enter_lower:
    csrw    mepc, a0
    mv      a0, a1
    mv      a1, a2
    li      ra, 0
    li      sp, 0
    li      gp, 0
    li      tp, 0
    mret

# Reads a CSR that may not be there: probe_menvcfg(bits) sets the bits, and returns which have stayed; 0 without the CSR.
    .globl probe_menvcfg
probe_menvcfg:
    la      t0, 1f
    csrrw   t0, mtvec, t0
    li      t1, 0
    csrs    0x30a, a0
    csrr    t1, 0x30a
    .balign 4
1:  csrw    mtvec, t0
    and     a0, a0, t1
    ret
