/* SPDX-License-Identifier: MIT
 * Processor tables: GDT, TSS, IDT, segments, and the record of each processor.
 * Floor: tests. Source: SPEC BM-14 to BM-16, BM-31; Intel SDM volume 3, 3.4.5, 6.14, 8.7. */
#include "arch/x86_64/smp/smp.h"
#include "machine_env.h"

typedef struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
} pointer_t;

/* What a processor says of itself. */
typedef struct tables {
    pointer_t gdt, idt;
    uint64_t tss, cr0, cr4, efer, gs_base;
    uint64_t ist[4];
    uint16_t cs, ss, ds, es, fs, gs, tr;
    uint32_t apic_id;
    bool right_record;
} tables_t;

static tables_t of[X86_MAX_CPUS];

static uint64_t descriptor_base(const uint64_t *d)
{
    return (d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | d[1] << 32;
}

static void *look(void *arg)
{
    x86_cpu_t *me = x86_cpu_self();
    tables_t *t = &of[me->index];
    const uint64_t *gdt;

    (void)arg;
    __asm__ volatile("sgdt %0" : "=m"(t->gdt));
    __asm__ volatile("sidt %0" : "=m"(t->idt));
    __asm__ volatile("mov %%cs, %0" : "=r"(t->cs));
    __asm__ volatile("mov %%ss, %0" : "=r"(t->ss));
    __asm__ volatile("mov %%ds, %0" : "=r"(t->ds));
    __asm__ volatile("mov %%es, %0" : "=r"(t->es));
    __asm__ volatile("mov %%fs, %0" : "=r"(t->fs));
    __asm__ volatile("mov %%gs, %0" : "=r"(t->gs));
    __asm__ volatile("str %0" : "=r"(t->tr));
    __asm__ volatile("mov %%cr4, %0" : "=r"(t->cr4));
    t->cr0 = x86_cr0();
    t->efer = x86_rdmsr(X86_MSR_EFER);
    t->gs_base = x86_rdmsr(X86_MSR_GS_BASE);
    gdt = (const uint64_t *)(uintptr_t)t->gdt.base;
    t->tss = descriptor_base(&gdt[5]);
    for (uint32_t i = 0; i < 4; i++)
        t->ist[i] = *(const uint64_t __attribute__((aligned(4), may_alias)) *)(t->tss + 36 + 8 * i);
    t->apic_id = lapic_id();
    t->right_record = me == &x86_cpus[me->index] && me->self == me;
    return NULL;
}

static void look_everywhere(void)
{
    gmk_hal_memset(of, 0, sizeof(of));
    on_every_cpu(look, NULL);
}

/* BM-14: null, code, data, two for user code and data, then the TSS; all segments reloaded. */
GMK_TEST(kernel_tables_the_gdt_has_the_five_entries_and_a_tss)
{
    look_everywhere();
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        const uint64_t *gdt = (const uint64_t *)(uintptr_t)of[i].gdt.base;

        gmk_test_assert_eq(of[i].gdt.limit, 7 * 8 - 1);
        gmk_test_assert_eq(gdt[0], 0);
        gmk_test_assert_eq(gdt[1] >> 40 & 0xff, 0x9a | (gdt[1] >> 40 & 1)); /* code, ring 0 */
        gmk_test_assert_eq(gdt[1] >> 53 & 3, 1);                            /* of 64 bits */
        gmk_test_assert_eq(gdt[2] >> 40 & 0xfe, 0x92);                      /* data, ring 0 */
        gmk_test_assert_eq(gdt[3] >> 45 & 3, 3);
        gmk_test_assert_eq(gdt[4] >> 45 & 3, 3);
        gmk_test_assert_eq(gdt[5] >> 40 & 0xff, 0x8b); /* a TSS in use */
        gmk_test_assert_eq(of[i].cs, X86_CODE);
        gmk_test_assert_eq(of[i].ss, X86_DATA);
        gmk_test_assert_eq(of[i].ds, X86_DATA);
        gmk_test_assert_eq(of[i].es, X86_DATA);
        gmk_test_assert_eq(of[i].fs | of[i].gs, 0);
        gmk_test_assert_eq(of[i].tr, X86_TSS);
    }
}

static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/* BOOT.md section 4: no table, TSS or interrupt stack is shared, but the one IDT. */
GMK_TEST(kernel_tables_every_processor_has_its_own_gdt_tss_and_stacks)
{
    look_everywhere();
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        gmk_test_assert_eq(of[i].idt.limit, 256 * 16 - 1);
        gmk_test_assert_eq(of[i].idt.base, of[0].idt.base);
        for (uint32_t k = 0; k < 4; k++) {
            gmk_test_assert(of[i].ist[k] != 0 && of[i].ist[k] % 16 == 0);
            for (uint32_t m = 0; m < 4 * i + k; m++)
                gmk_test_assert_ge(apart(of[i].ist[k], of[m / 4].ist[m % 4]), 16384);
        }
        for (uint32_t k = 0; k < i; k++) {
            gmk_test_assert_ne(of[i].gdt.base, of[k].gdt.base);
            gmk_test_assert_ne(of[i].tss, of[k].tss);
        }
    }
}

/* BM-15: 256 gates, ring 0, interrupts off; the faults that a bad stack may raise have their
 * own. */
GMK_TEST(kernel_tables_every_gate_is_there_and_bad_stacks_have_another)
{
    static const uint8_t stack_of[32] = {[8] = 1, [2] = 2, [18] = 3, [14] = 4};
    const uint64_t *idt;

    look_everywhere();
    idt = (const uint64_t *)(uintptr_t)of[0].idt.base;
    for (uint32_t v = 0; v < 256; v++) {
        uint64_t low = idt[2 * v];

        gmk_test_assert_eq(low >> 40 & 0xff, 0x8e);
        gmk_test_assert_eq(low >> 16 & 0xffff, X86_CODE);
        gmk_test_assert_eq(low >> 32 & 7, v < 32 ? stack_of[v] : 0);
        gmk_test_assert_eq(idt[2 * v + 1], 0xffffffffu); /* of the upper half */
    }
}

/* BM-16: the frame as it lies, from the lowest address. */
GMK_TEST(kernel_tables_the_saved_frame_is_laid_out_as_promised)
{
    gmk_test_assert_eq(offsetof(x86_frame_t, r15), 0);
    gmk_test_assert_eq(offsetof(x86_frame_t, r8), 56);
    gmk_test_assert_eq(offsetof(x86_frame_t, rbp), 64);
    gmk_test_assert_eq(offsetof(x86_frame_t, rdi), 72);
    gmk_test_assert_eq(offsetof(x86_frame_t, rsi), 80);
    gmk_test_assert_eq(offsetof(x86_frame_t, rdx), 88);
    gmk_test_assert_eq(offsetof(x86_frame_t, rcx), 96);
    gmk_test_assert_eq(offsetof(x86_frame_t, rbx), 104);
    gmk_test_assert_eq(offsetof(x86_frame_t, rax), 112);
    gmk_test_assert_eq(offsetof(x86_frame_t, vector), 120);
    gmk_test_assert_eq(offsetof(x86_frame_t, error), 128);
    gmk_test_assert_eq(offsetof(x86_frame_t, rip), 136);
    gmk_test_assert_eq(sizeof(x86_frame_t), 176);
}

/* BM-1, BM-31: numbers without a gap, the BSP is 0; each knows its record and its APIC. */
GMK_TEST(kernel_tables_numbers_have_no_gap_and_apic_ids_are_kept_apart)
{
    look_everywhere();
    gmk_test_assert_eq(smp_cpu_count(), x86_n_cpus);
    gmk_test_assert_eq(smp_lapic_id(0), smp_bsp_lapic_id());
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        gmk_test_assert(of[i].right_record);
        gmk_test_assert_eq(of[i].gs_base, (uintptr_t)&x86_cpus[i]);
        gmk_test_assert_eq(x86_cpus[i].index, i);
        gmk_test_assert_eq(x86_cpus[i].apic_id, of[i].apic_id);
        for (uint32_t k = 0; k < i; k++)
            gmk_test_assert_ne(of[i].apic_id, of[k].apic_id);
    }
}

/* Write protection, NX, and what else there is, on all of them. */
GMK_TEST(kernel_tables_every_processor_protects_the_kernel_from_itself)
{
    uint32_t seven = x86_cpuid(0).a >= 7 ? x86_cpuid(7).b : 0;

    look_everywhere();
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        gmk_test_assert_eq(of[i].cr0 >> 16 & 1, 1);
        gmk_test_assert_eq(of[i].efer >> 11 & 1, 1);
        gmk_test_assert_eq(of[i].cr4 >> 20 & 1, seven >> 7 & 1);
        gmk_test_assert_eq(of[i].cr4 >> 21 & 1, seven >> 20 & 1);
    }
}
