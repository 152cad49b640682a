# How a hart gets from reset to main, and from a trap to on_trap.
#
# Every hart enters at _start in machine mode, with its number in a0 (and in mhartid) and the device tree's
# address in a1. Hart 0 clears .bss and counts the harts; the others wait for it. Then each calls main(hart)
# on a stack of its own. A hart whose main returns sleeps for ever; pass() or fail(), called by any hart, ends
# the machine.

        .section .text.start, "ax"
        .global _start
_start:
        csrr    tp, mhartid             # tp holds the hart's number from here on, in every mode
        li      t0, 255                 # HARTS_MAX in link.ld: a hart beyond it has no stack
        bgeu    tp, t0, sleep

        .option push
        .option norelax                 # gp cannot be computed relative to itself
        la      gp, __global_pointer$
        .option pop

        la      t0, trap_entry
        csrw    mtvec, t0
        csrw    mie, zero
        li      t0, 0x2000              # mstatus.FS = initial: floating point may be used
        csrs    mstatus, t0

        la      sp, __stacks            # sp = __stacks + (hart + 1) * STACK_SIZE
        addi    t0, tp, 1
        slli    t0, t0, 13
        add     sp, sp, t0

        bnez    tp, wait_for_hart_0

        la      t0, __bss_start
        la      t1, __bss_end
clear:
        bgeu    t0, t1, cleared
        sd      zero, 0(t0)
        addi    t0, t0, 8
        j       clear
cleared:
        mv      a0, a1
        call    count_harts
        fence   rw, w
        la      t0, harts_may_start
        li      t1, 1
        sw      t1, 0(t0)
        j       enter_main

wait_for_hart_0:
        la      t0, harts_may_start
1:
        .insn   i 0x0f, 0, x0, x0, 0x10 # PAUSE, a hint of Zihintpause (a fence without effect elsewhere)
        lw      t1, 0(t0)
        beqz    t1, 1b
        fence   r, rw

enter_main:
        mv      a0, tp
        call    main

sleep:
        csrw    mie, zero
1:
        wfi
        j       1b

# Saves what a C function may overwrite (integer registers only: on_trap must not use floating point), and
# calls on_trap(cause, pc, value), which returns the address at which the hart goes on.
        .balign 4
trap_entry:
        addi    sp, sp, -128
        sd      ra, 0(sp)
        sd      t0, 8(sp)
        sd      t1, 16(sp)
        sd      t2, 24(sp)
        sd      t3, 32(sp)
        sd      t4, 40(sp)
        sd      t5, 48(sp)
        sd      t6, 56(sp)
        sd      a0, 64(sp)
        sd      a1, 72(sp)
        sd      a2, 80(sp)
        sd      a3, 88(sp)
        sd      a4, 96(sp)
        sd      a5, 104(sp)
        sd      a6, 112(sp)
        sd      a7, 120(sp)
        csrr    a0, mcause
        csrr    a1, mepc
        csrr    a2, mtval
        call    on_trap
        csrw    mepc, a0
        ld      ra, 0(sp)
        ld      t0, 8(sp)
        ld      t1, 16(sp)
        ld      t2, 24(sp)
        ld      t3, 32(sp)
        ld      t4, 40(sp)
        ld      t5, 48(sp)
        ld      t6, 56(sp)
        ld      a0, 64(sp)
        ld      a1, 72(sp)
        ld      a2, 80(sp)
        ld      a3, 88(sp)
        ld      a4, 96(sp)
        ld      a5, 104(sp)
        ld      a6, 112(sp)
        ld      a7, 120(sp)
        addi    sp, sp, 128
        mret

# Not in .bss: the other harts read it while hart 0 clears that.
        .section .sdata, "aw"
        .balign 4
harts_may_start:
        .word   0
