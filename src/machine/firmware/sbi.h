// The RISC-V Supervisor Binary Interface, version 2.0: numbers and types.
#ifndef SBI_H
#define SBI_H

#include "layout.h"

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

// Standard errors (SBI 2.0, section 3).
enum {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7,
    SBI_ERR_ALREADY_STOPPED = -8,
};

// Extensions.
enum {
    EXT_BASE = 0x10,
    EXT_TIME = 0x54494d45,
    EXT_IPI = 0x735049,
    EXT_RFENCE = 0x52464e43,
    EXT_HSM = 0x48534d,
    EXT_SRST = 0x53525354,
    EXT_DBCN = 0x4442434e,
    EXT_PMU = 0x504d55,
};

// States of a hart (section 9).
enum { STARTED = 0, STOPPED = 1, START_PENDING = 2, SUSPENDED = 4 };

// What a hart is asked for by others.
enum { ASKED_SOFTWARE = 1, ASKED_FENCE_I = 2, ASKED_FENCE_VMA = 4, ASKED_START = 8 };

// What the loader says in a2: as it says it to OpenSBI's fw_dynamic, and what only this firmware reads.
struct boot_info {
    u64 magic;
    u64 version;
    u64 next_address;
    u64 next_mode;
    u64 options;
    u64 boot_hart;
    u64 harts;
    u64 ram_end;
};

// A range of addresses whose translations are to be forgotten.
struct fence {
    u64 start;
    u64 size; // all ones: everything
    u64 asid; // all ones: all address spaces
};

// What the firmware keeps for a hart. Its stack fills the rest of HART_SIZE.
struct hart {
    // A state of section 9, exclusive or STOPPED: a hart that has not come here yet is a stopped one.
    u32 state;
    u32 asked;
    // Guards `fence`, `fence_from`, and fences in `asked`.
    u32 lock;
    // Remote fences of this hart that others have not done yet.
    u32 awaited;
    struct fence fence;
    // Which harts wait for the fence, a bit each.
    u64 fence_from[4];
    u64 start_address;
    u64 start_argument;
};

extern u8 harts[HARTS_MAX][HART_SIZE];

// Registers of the mode that trapped, by number.
struct frame {
    u64 x[32];
};

struct result {
    s64 error;
    u64 value;
};

void enter_lower(u64 pc, u64 a0, u64 a1) __attribute__((noreturn));
u64 probe_menvcfg(u64 bits);

#endif
