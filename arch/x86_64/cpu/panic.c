/* SPDX-License-Identifier: MIT
 * Panic: one processor speaks, the others stand still.
 * Floor: arch. It trusts nothing: output takes no lock, the calls are followed only through
 * mapped memory, and a fault within it only cuts it short.
 * Source: SPEC BM-12, BM-13; ELF-64 object file format for the symbol table. */
#include "arch/x86_64/cpu/panic.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"

#define MAX_CALLS 24u
#define DEBUG_EXIT_PORT 0xf4u
#define PANIC_CODE 0x7fu

static gmk_a32_t speaking; /* 0, or 1 more than the processor that speaks */
static bool exits;
static void (*tell)(void);

void panic_exits(bool yes) { exits = yes; }
void panic_tell(void (*fn)(void)) { tell = fn; }
void x86_debug_exit(uint8_t code) { x86_out8(DEBUG_EXIT_PORT, code); }

GMK_NORETURN static void stand_still(void)
{
    if (exits)
        x86_debug_exit(PANIC_CODE);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* The first to come goes on; a second processor stands still, a second panic of the first
 * ends what the first was at. */
static void begin(void)
{
    uint32_t me = x86_cpu_self()->index + 1;
    uint32_t nobody = 0;

    x86_cli();
    if (gmk_cas_ar(&speaking, &nobody, me, GMK_DEV)) { /* sync: x86.panic */
        serial_break();
        x86_stop_others();
        return;
    }
    if (nobody == me) {
        kprintf("\nPANIC within the panic: the rest is left out\n");
        stand_still();
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}

bool panic_is_here(void)
{
    /* relaxed: nobody else writes this processor's number */
    return gmk_load_rlx(&speaking, GMK_DEV) == x86_cpu_self()->index + 1;
}

void panic_end(void)
{
    kprintf("PANIC: the machine is halted\n");
    stand_still();
}

static bool is_readable(uintptr_t at)
{
    return at >= MEM_HALF && (at & 7) == 0 && paging_root() != 0 &&
           paging_phys((const void *)at) != 0;
}

/* Calls by frame pointers: each frame must be mapped, aligned and above the last. A way back
 * is looked up by the byte before it, since a call that never returns may end its function. */
static void print_calls(uintptr_t rip, uintptr_t rbp, uint32_t back)
{
    uint64_t offset;

    for (uint32_t i = 0; i < MAX_CALLS && rip != 0; i++) {
        const char *name = x86_symbol(rip - back, &offset);
        uintptr_t up;

        if (name != NULL)
            kprintf("  #%-2u %p %s+0x%lx\n", i, (void *)rip, name, offset + back);
        else
            kprintf("  #%-2u %p ?\n", i, (void *)rip);
        if (!is_readable(rbp) || !is_readable(rbp + 8))
            return;
        up = ((const uintptr_t *)rbp)[0];
        rip = ((const uintptr_t *)rbp)[1];
        back = 1;
        if (up <= rbp && up != 0)
            return;
        rbp = up;
    }
}

/* back: 1 if rip is a way back, 0 if it is an instruction that has failed. */
GMK_NORETURN static void finish(uintptr_t rip, uintptr_t rbp, uint32_t back)
{
    void (*fn)(void) = tell;

    kprintf("calls, the last first:\n");
    print_calls(rip, rbp, back);
    if (fn != NULL)
        fn();
    panic_end();
}

void panic(const char *file, int line, const char *format, ...)
{
    char text[384];
    va_list args;

    begin();
    va_start(args, format);
    kvsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kprintf("\nPANIC on CPU %u at %s:%d: %s\n", x86_cpu_self()->index, file, line, text);
    finish((uintptr_t)__builtin_return_address(0), *(const uintptr_t *)__builtin_frame_address(0),
           1);
}

static const char *const fault_names[32] = {"divide error",
                                            "debug",
                                            "NMI",
                                            "breakpoint",
                                            "overflow",
                                            "bound range",
                                            "invalid opcode",
                                            "no coprocessor",
                                            "double fault",
                                            "coprocessor segment",
                                            "invalid TSS",
                                            "segment not present",
                                            "stack segment",
                                            "general protection",
                                            "page fault",
                                            "reserved",
                                            "floating point",
                                            "alignment check",
                                            "machine check",
                                            "vector floating point",
                                            "virtualization",
                                            "control protection"};

void panic_fault(const x86_frame_t *f, const char *what)
{
    uint32_t v = (uint32_t)f->vector;

    begin();
    kprintf("\nPANIC on CPU %u: %s%s%s (vector %u, error 0x%lx)\n", x86_cpu_self()->index,
            v < 32 && fault_names[v] != NULL ? fault_names[v] : "interrupt",
            what != NULL ? ": " : "", what != NULL ? what : "", v, f->error);
    kprintf("  rip %p rsp %p rflags %lx\n  cr2 %p cr3 %p cs %lx ss %lx\n", (void *)f->rip,
            (void *)f->rsp, f->rflags, (void *)x86_cr2(), (void *)paging_read_cr3(), f->cs, f->ss);
    kprintf("  rax %p rbx %p rcx %p\n  rdx %p rsi %p rdi %p\n  rbp %p r8  %p r9  %p\n",
            (void *)f->rax, (void *)f->rbx, (void *)f->rcx, (void *)f->rdx, (void *)f->rsi,
            (void *)f->rdi, (void *)f->rbp, (void *)f->r8, (void *)f->r9);
    kprintf("  r10 %p r11 %p r12 %p\n  r13 %p r14 %p r15 %p\n", (void *)f->r10, (void *)f->r11,
            (void *)f->r12, (void *)f->r13, (void *)f->r14, (void *)f->r15);
    finish(f->rip, f->rbp, 0);
}

/* Symbols. ------------------------------------------------------------------------- */

typedef struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
} elf_symbol_t;

typedef struct elf_section {
    uint32_t name, type;
    uint64_t flags, address, offset, size;
    uint32_t link, info;
    uint64_t align, entry;
} elf_section_t;

#define ELF_SECTIONS_AT 0x28u
#define ELF_N_SECTIONS_AT 0x3cu
#define ELF_SYMTAB 2u
#define ELF_FUNC 2u

static bool within(uint64_t offset, uint64_t bytes)
{
    return offset <= boot_info.file_bytes && bytes <= boot_info.file_bytes - offset;
}

/* The image's symbol table and its names; null if it has none. */
static const elf_section_t *symbols(const elf_section_t **names)
{
    const uint8_t *file = boot_info.file;
    uint64_t at;
    uint32_t n;

    if (file == NULL || !within(0, 64))
        return NULL;
    at = *(const uint64_t *)(file + ELF_SECTIONS_AT);
    n = *(const uint16_t *)(file + ELF_N_SECTIONS_AT);
    if (at == 0 || (at & 7) != 0 || !within(at, n * sizeof(elf_section_t)))
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const elf_section_t *s = (const elf_section_t *)(file + at) + i;

        if (s->type != ELF_SYMTAB || s->link >= n || !within(s->offset, s->size))
            continue;
        *names = (const elf_section_t *)(file + at) + s->link;
        return within((*names)->offset, (*names)->size) && (*names)->size != 0 ? s : NULL;
    }
    return NULL;
}

const char *x86_symbol(uintptr_t address, uint64_t *offset)
{
    const elf_section_t *names = NULL, *table = symbols(&names);
    const uint8_t *file = boot_info.file;

    if (table == NULL || file[names->offset + names->size - 1] != 0)
        return NULL;
    for (uint64_t i = 0; i < table->size / sizeof(elf_symbol_t); i++) {
        const elf_symbol_t *y = (const elf_symbol_t *)(file + table->offset) + i;

        if ((y->info & 15) != ELF_FUNC || address - y->value >= y->size || y->name >= names->size)
            continue;
        *offset = address - y->value;
        return (const char *)file + names->offset + y->name;
    }
    return NULL;
}
