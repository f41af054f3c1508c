/* SPDX-License-Identifier: MIT
 * A kernel that checks what its loader promised, prints what is broken, and ends QEMU: status 33
 * when all holds, 35 when not. Words of the command line: echo (print it), cpus=N (that many must
 * have started), modules=N, noacpi (no RSDP is right).
 * Floor: tests. Source: BOOT section 1. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86_64/limine/limine.h"
#include "ggmk/base/atomic.h"

LIMINE_REQUESTS_START(start_mark);
LIMINE_REQUESTS_END(end_mark);
LIMINE_BASE_TAG(base_tag);
LIMINE_REQUEST limine_bootloader_info_request_t info = {.id = LIMINE_BOOTLOADER_INFO_ID};
LIMINE_REQUEST limine_hhdm_request_t hhdm = {.id = LIMINE_HHDM_ID};
LIMINE_REQUEST limine_memmap_request_t memmap = {.id = LIMINE_MEMMAP_ID};
LIMINE_REQUEST limine_smp_request_t smp = {.id = LIMINE_SMP_ID};
LIMINE_REQUEST limine_kernel_address_request_t where = {.id = LIMINE_KERNEL_ADDRESS_ID};
LIMINE_REQUEST limine_kernel_file_request_t file = {.id = LIMINE_KERNEL_FILE_ID};
LIMINE_REQUEST limine_modules_request_t modules = {.id = LIMINE_MODULES_ID};
LIMINE_REQUEST limine_rsdp_request_t rsdp = {.id = LIMINE_RSDP_ID};
LIMINE_REQUEST limine_stack_size_request_t stack = {.id = LIMINE_STACK_SIZE_ID,
                                                    .stack_size = 0x18000};
LIMINE_REQUEST limine_paging_mode_request_t paging = {.id = LIMINE_PAGING_MODE_ID};
LIMINE_REQUEST limine_boot_time_request_t boot_time = {.id = LIMINE_BOOT_TIME_ID};

enum { CPUS_MAX = 256, N_REGS = 16 };

static uint64_t zeros[1000];         /* .bss */
static const uint64_t constant = 42; /* .rodata */
static uint64_t data = 43;
static gmk_a32_t n_came;
static uint64_t ap_stack[CPUS_MAX];
static uint32_t n_broken;
uint64_t entry_regs[N_REGS + 2];
void kernel_main(void);
void ap_main(limine_smp_info_t *cpu, uint64_t sp);
extern const uint8_t kernel_start[], ap_start[];

/* Keeps the registers as they are at entry: rax to r15 without rsp, then rsp and the flags. */
__asm__(".text\n"
        ".global kernel_start, ap_start\n"
        "kernel_start:\n"
        "mov %rax, entry_regs\n mov %rbx, entry_regs+8\n mov %rcx, entry_regs+16\n"
        "mov %rdx, entry_regs+24\n mov %rsi, entry_regs+32\n mov %rdi, entry_regs+40\n"
        "mov %rbp, entry_regs+48\n mov %r8, entry_regs+56\n mov %r9, entry_regs+64\n"
        "mov %r10, entry_regs+72\n mov %r11, entry_regs+80\n mov %r12, entry_regs+88\n"
        "mov %r13, entry_regs+96\n mov %r14, entry_regs+104\n mov %r15, entry_regs+112\n"
        "mov (%rsp), %rax\n mov %rax, entry_regs+120\n mov %rsp, entry_regs+128\n"
        "pushf\n popq entry_regs+136\n"
        "jmp kernel_main\n"
        "ap_start: mov %rsp, %rsi\n jmp ap_main\n");

static void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void say(const char *s)
{
    for (; *s != 0; s++)
        out8(0x3f8, (uint8_t)*s);
}

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    n_broken++;
    say("broken: ");
    say(what);
    say("\n");
}
#define CHECK(cond) check(cond, #cond)

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void *virt(uint64_t phys) { return (void *)(hhdm.response->offset + phys); }

/* The page table entry of an address, 0 when there is none. */
static uint64_t entry_of(uint64_t at)
{
    uint64_t e;

    __asm__ volatile("mov %%cr3, %0" : "=r"(e));
    for (int shift = 39; shift >= 12; shift -= 9) {
        e = ((uint64_t *)virt(e & 0x000ffffffffff000ull))[at >> shift & 511];
        if ((e & 1) == 0 || (e & 0x80) != 0)
            return e;
    }
    return e;
}

static bool has_word(const char *word, uint32_t *number)
{
    const char *s = file.response->kernel_file->cmdline;

    for (; *s != 0; s++) {
        uint32_t i = 0;

        while (word[i] != 0 && s[i] == word[i])
            i++;
        if (word[i] != 0)
            continue;
        for (*number = 0, s += i; *s >= '0' && *s <= '9'; s++)
            *number = *number * 10 + (uint32_t)(*s - '0');
        return true;
    }
    return false;
}

static void check_state(void)
{
    uint64_t cr0, cr4, i;
    uint16_t cs, ss;

    __asm__ volatile("mov %%cr0, %0\n mov %%cr4, %1\n mov %%cs, %2\n mov %%ss, %3"
                     : "=r"(cr0), "=r"(cr4), "=r"(cs), "=r"(ss));
    for (i = 0; i < N_REGS; i++)
        check(entry_regs[i] == 0, "a register or the return address is not 0");
    CHECK(entry_regs[16] % 16 == 8 && entry_regs[16] >= hhdm.response->offset);
    CHECK((entry_regs[17] & 0x600) == 0); /* IF, DF */
    CHECK((cr0 & 0xe0010001) == 0x80010001);
    CHECK((cr4 & 0x20) != 0);
    CHECK(cs == 0x28 && ss == 0x30);
    CHECK((rdmsr(0xc0000080) & 0xd00) == 0xd00);
    CHECK((rdmsr(0x277) & 0xffffffffffff) == 0x010500070406);
}

static void check_map(void)
{
    const limine_memmap_response_t *m = memmap.response;
    uint64_t usable = 0, end = 0;

    for (uint64_t i = 0; i < m->entry_count; i++) {
        const limine_memmap_entry_t *e = m->entries[i];

        check(e->base >= end && e->length > 0, "an area overlaps or is not sorted");
        end = e->base + e->length;
        if (e->type != LIMINE_USABLE && e->type != LIMINE_BOOTLOADER_RECLAIMABLE)
            continue;
        check(e->base % 4096 == 0 && e->length % 4096 == 0 && e->base != 0, "an area's edge");
        if (e->type == LIMINE_USABLE) {
            volatile uint64_t *word = virt(e->base + e->length - 8);

            usable += e->length;
            *word = ~e->base;
            check(*word == ~e->base, "usable memory does not keep what is written");
        }
    }
    CHECK(usable > 0x1000000);
}

static void check_paging(void)
{
    uint64_t nx = 1ull << 63, text = entry_of((uint64_t)kernel_start);
    uint64_t ro = entry_of((uint64_t)&constant), rw = entry_of((uint64_t)&data);
    uint64_t phys = (uint64_t)&data - where.response->virtual_base + where.response->physical_base;

    CHECK((text & (nx | 3)) == 1);
    CHECK((ro & (nx | 3)) == (nx | 1));
    CHECK((rw & (nx | 3)) == (nx | 3));
    CHECK(entry_of(0x100000) == 0); /* no identity map */
    CHECK((entry_of(hhdm.response->offset + 0xfee00000) & 3) == 3);
    CHECK((entry_of(hhdm.response->offset) & nx) != 0);
    CHECK(*(volatile uint64_t *)virt(phys) == 43);
    for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++)
        check(zeros[i] == 0, "the .bss is not zeroed");
}

static void check_answers(void)
{
    const limine_file_t *f = file.response->kernel_file;
    uint32_t n;

    CHECK(*(const uint32_t *)f->address == 0x464c457f && f->size > 4096);
    if (has_word("noacpi", &n))
        CHECK(rsdp.response == NULL);
    else
        CHECK(rsdp.response != NULL &&
              *(const uint64_t *)rsdp.response->address == 0x2052545020445352);
    CHECK(info.response->name[0] != 0 && info.response->version[0] != 0);
    CHECK(stack.response != NULL && paging.response->mode == LIMINE_PAGING_4_LEVEL);
    CHECK(boot_time.response->boot_time > 1700000000);
    CHECK(modules.response->module_count == (has_word("modules=", &n) ? n : 0));
    for (uint64_t i = 0; i < modules.response->module_count; i++) {
        say("module: ");
        say(modules.response->modules[i]->cmdline);
        say("\n");
    }
    if (has_word("echo", &n)) {
        say("cmdline: ");
        say(f->cmdline);
        say("\n");
    }
}

void ap_main(limine_smp_info_t *cpu, uint64_t sp)
{
    if (*(uint64_t *)sp == 0 && sp % 16 == 8 && rdmsr(0x277) == rdmsr(0x277))
        ap_stack[cpu->extra_argument] = sp;
    gmk_add_ar(&n_came, 1, GMK_DEV);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void check_cpus(void)
{
    const limine_smp_response_t *s = smp.response;
    uint32_t n, n_others = 0;
    bool bsp = false;

    CHECK(!has_word("cpus=", &n) || n == s->cpu_count);
    for (uint64_t i = 0; i < s->cpu_count; i++) {
        limine_smp_info_t *cpu = s->cpus[i];

        if (cpu->lapic_id == s->bsp_lapic_id) {
            bsp = true;
            continue;
        }
        n_others++;
        cpu->extra_argument = i;
        __atomic_store_n((uint64_t *)&cpu->goto_address, (uint64_t)ap_start, __ATOMIC_RELEASE);
    }
    CHECK(bsp);
    for (uint64_t i = 0; i < 2000000000 && gmk_load_acq(&n_came, GMK_DEV) < n_others; i++)
        gmk_pause();
    CHECK(gmk_load_acq(&n_came, GMK_DEV) == n_others);
    for (uint64_t i = 0; i < s->cpu_count; i++) {
        if (s->cpus[i]->lapic_id == s->bsp_lapic_id)
            continue;
        check(ap_stack[i] != 0, "a CPU came with a wrong stack");
        for (uint64_t k = 0; k < i; k++)
            check(ap_stack[k] + 0x18000 <= ap_stack[i] || ap_stack[i] + 0x18000 <= ap_stack[k],
                  "two CPUs share a stack");
    }
}

void kernel_main(void)
{
    bool all = hhdm.response != NULL && memmap.response != NULL && smp.response != NULL &&
               where.response != NULL && file.response != NULL && modules.response != NULL &&
               info.response != NULL && boot_time.response != NULL && paging.response != NULL;

    CHECK(base_tag[2] == 0);
    check(all, "a request has no response");
    if (all) {
        check_state();
        check_map();
        check_paging();
        check_answers();
        check_cpus();
    }
    say(n_broken == 0 ? "shim kernel: all holds\n" : "shim kernel: broken\n");
    out8(0xf4, n_broken == 0 ? 16 : 17);
    for (;;)
        __asm__ volatile("cli; hlt");
}
