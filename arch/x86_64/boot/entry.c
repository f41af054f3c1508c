/* SPDX-License-Identifier: MIT
 * Entry: what the kernel asks of its loader, and the order in which it comes up.
 * Floor: arch.
 * Everything that the loader answers lies in memory that is given to the pool in the end, so
 * it is copied into boot_info first. A required answer that is missing stops the boot with a
 * message that names it. Source: SPEC BM-1 to BM-4; ARCHITECTURE R17; BOOT.md section 1. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/pic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/limine/limine.h"
#include "arch/x86_64/memory/boot_alloc.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/memory/pmm.h"
#include "arch/x86_64/memory/tlb.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"
#include "arch/x86_64/smp/smp.h"
#include "arch/x86_64/smp/thread.h"
#include "ggmk/base/assert.h"

LIMINE_REQUESTS_START(limine_start);
LIMINE_BASE_TAG(base_revision);
LIMINE_REQUEST limine_bootloader_info_request_t loader_request = {.id = LIMINE_BOOTLOADER_INFO_ID};
LIMINE_REQUEST limine_hhdm_request_t hhdm_request = {.id = LIMINE_HHDM_ID};
LIMINE_REQUEST limine_memmap_request_t memory_request = {.id = LIMINE_MEMMAP_ID};
LIMINE_REQUEST limine_smp_request_t smp_request = {.id = LIMINE_SMP_ID, .flags = LIMINE_SMP_X2APIC};
LIMINE_REQUEST limine_kernel_address_request_t address_request = {.id = LIMINE_KERNEL_ADDRESS_ID};
LIMINE_REQUEST limine_kernel_file_request_t file_request = {.id = LIMINE_KERNEL_FILE_ID};
LIMINE_REQUEST limine_rsdp_request_t rsdp_request = {.id = LIMINE_RSDP_ID};
LIMINE_REQUEST limine_stack_size_request_t stack_request = {.id = LIMINE_STACK_SIZE_ID,
                                                            .stack_size = 65536};
LIMINE_REQUEST limine_paging_mode_request_t paging_request = {
    .id = LIMINE_PAGING_MODE_ID, .revision = 1, .mode = LIMINE_PAGING_4_LEVEL};
void _kstart(void);
LIMINE_REQUEST limine_entry_point_request_t entry_request = {.id = LIMINE_ENTRY_POINT_ID,
                                                             .entry = _kstart};
LIMINE_REQUESTS_END(limine_end);

#define STACK_BYTES 32768u

GMK_NORETURN void boot_main(void); /* called by _kstart */

boot_info_t boot_info;
GMK_ALIGNAS(16) uint8_t boot_stack[STACK_BYTES]; /* the BSP's; then its idle thread's */

/* On a stack of the image's own from the first instruction: the loader's is given away. */
__attribute__((naked)) void _kstart(void)
{
    __asm__ volatile("cld\n\t"
                     "leaq boot_stack+32768(%rip), %rsp\n\t"
                     "xorl %ebp, %ebp\n\t"
                     "pushq $0\n\t"
                     "jmp boot_main");
}

/* The command line. ----------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || c == '\t'; }

bool boot_option(const char *name, char *to, size_t bytes)
{
    size_t n = 0;

    while (name[n] != '\0')
        n++;
    for (const char *p = boot_info.command; *p != '\0';) {
        size_t i = 0;

        while (is_space(*p))
            p++;
        if (strncmp(p, name, n) == 0 && (p[n] == '=' || p[n] == '\0' || is_space(p[n]))) {
            p += n;
            for (p += *p == '='; *p != '\0' && !is_space(*p) && i + 1 < bytes; p++)
                to[i++] = *p;
            to[i] = '\0';
            return true;
        }
        while (*p != '\0' && !is_space(*p))
            p++;
    }
    to[0] = '\0';
    return false;
}

uint64_t boot_option_u64(const char *name, uint64_t fallback)
{
    char text[24];
    uint64_t v = 0;

    if (!boot_option(name, text, sizeof(text)) || text[0] == '\0')
        return fallback;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || v > (UINT64_MAX - 9) / 10)
            return fallback;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    return v;
}

/* What the loader said. -------------------------------------------------------------- */

#define NEED(request, what)                                                                        \
    do {                                                                                           \
        if ((request).response == NULL)                                                            \
            PANIC("the loader gave no %s: GGMK wants a loader of the Limine protocol, base "       \
                  "revision 2 (Limine 8, or GGMK's own shim)",                                     \
                  what);                                                                           \
    } while (0)

static void copy_text(char *to, size_t bytes, const char *from)
{
    size_t n = 0;

    for (; from != NULL && from[n] != '\0' && n + 1 < bytes; n++)
        to[n] = from[n];
    to[n] = '\0';
}

static void copy_processors(void)
{
    const limine_smp_response_t *smp = smp_request.response;
    uint32_t n = 1;

    boot_info.apic_id[0] = smp->bsp_lapic_id;
    for (uint64_t i = 0; i < smp->cpu_count; i++) {
        limine_smp_info_t *cpu = smp->cpus[i];

        if (cpu->lapic_id == smp->bsp_lapic_id)
            continue;
        if (n == X86_MAX_CPUS) {
            cpu->extra_argument = (uintptr_t)boot_info.rest;
            boot_info.rest = cpu;
            continue;
        }
        boot_info.apic_id[n] = cpu->lapic_id;
        boot_info.cpu[n++] = cpu;
    }
    boot_info.n_cpus = n;
    if (smp->cpu_count > X86_MAX_CPUS)
        kprintf("boot: %lu CPUs are there, %u are used: GMK_MAX_WORKERS is the limit\n",
                smp->cpu_count, X86_MAX_CPUS);
}

static void copy_answers(void)
{
    const limine_file_t *file;

    if (base_revision[2] != 0)
        PANIC("the loader does not speak base revision 2 of the Limine protocol: use Limine 8 or "
              "GGMK's own shim");
    NEED(loader_request, "name of itself");
    NEED(hhdm_request, "direct map");
    NEED(memory_request, "memory map");
    NEED(smp_request, "list of processors");
    NEED(address_request, "kernel address");
    if (memory_request.response->entry_count == 0)
        PANIC("the loader's memory map is empty");
    ksnprintf(boot_info.loader, sizeof(boot_info.loader), "%s %s", loader_request.response->name,
              loader_request.response->version);
    boot_info.hhdm = hhdm_request.response->offset;
    boot_info.kernel_phys = address_request.response->physical_base;
    boot_info.kernel_virt = address_request.response->virtual_base;
    if (rsdp_request.response != NULL) {
        boot_info.rsdp = (uintptr_t)rsdp_request.response->address;
        if (boot_info.rsdp >= boot_info.hhdm)
            boot_info.rsdp -= boot_info.hhdm; /* some loaders say the one, some the other */
    }
    if (file_request.response != NULL && file_request.response->kernel_file != NULL) {
        file = file_request.response->kernel_file;
        boot_info.file = file->address;
        boot_info.file_bytes = file->size;
        copy_text(boot_info.command, sizeof(boot_info.command), file->cmdline);
    }
    copy_processors();
}

/* Coming up. ------------------------------------------------------------------------- */

static void start_memory(void)
{
    mem_boot_t m = {.map = (const mem_region_t *const *)memory_request.response->entries,
                    .n_map = memory_request.response->entry_count,
                    .hhdm = boot_info.hhdm,
                    .kernel_phys = boot_info.kernel_phys,
                    .kernel_virt = boot_info.kernel_virt};
    const char *wrong = mem_init(&m);

    if (wrong != NULL)
        PANIC("memory: %s", wrong);
    kprintf("boot: memory: %lu KiB usable, page tables of the kernel's own (NX, W^X)\n",
            pmm_usable_count() * 4);
}

static void start_clock(void)
{
    clock_report_t r;

    lapic_init();
    pic_init();
    clock_init();
    clock_get_report(&r);
    kprintf("boot: lapic: %s, id %u; timer %u ticks a ms\n", lapic_is_x2() ? "x2APIC" : "xAPIC",
            lapic_id(), lapic_get_ticks_per_ms());
    kprintf("boot: clock: TSC %lu kHz by PIT, %lu kHz by HPET (%ld ppm apart)%s\n", r.pit_hz / 1000,
            r.hpet_hz / 1000, r.apart_ppm, r.invariant ? ", invariant" : "");
}

/* What a panic adds: the core prints the last trace events of its kernels, then gives up, and
 * gmk_hal_abort ends the panic. */
static void tell_events(void) { gmk_panic(__FILE__, __LINE__, "what the kernels did last"); }

static void *main_thread(void *arg)
{
    (void)arg;
    x86_power_off((uint8_t)kmain());
}

void boot_main(void)
{
    x86_thread_t *first;
    char word[8];

    x86_cpu_enter(0, 0);
    serial_init();
    kprintf("\nGGMK %s, bare metal x86_64\n", GMK_VERSION_TEXT);
    gdt_init();
    idt_init();
    panic_tell(tell_events);
    copy_answers();
    panic_exits(boot_option("panic", word, sizeof(word)) && strncmp(word, "exit", 5) == 0);
    kprintf("boot: loader %s, %u CPUs, command line \"%s\"\n", boot_info.loader, boot_info.n_cpus,
            boot_info.command);
    x86_cpu_enter(0, boot_info.apic_id[0]);
    x86_cpu_protect();
    start_memory();
    start_clock();
    vmm_init();
    x86_threads_init((uintptr_t)boot_stack, sizeof(boot_stack));
    if (smp_start())
        kprintf("boot: %lu KiB of the loader's memory taken over\n", pmm_reclaim() * 4);
    else
        kprintf("boot: the loader's memory stays as it is: a CPU may still run in it\n");
    x86_sti();
    if (x86_thread_start(&first, 0, main_thread, NULL) != 0)
        PANIC("no memory for the first thread: give the machine more");
    x86_idle();
}
