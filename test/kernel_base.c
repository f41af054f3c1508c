/* SPDX-License-Identifier: MIT
 * What the other tests of the machine take for granted: the console, the change of threads, the
 * two views of an address, memory as the HAL gives it. They run in the kernel alone.
 * Floor: tests. Source: SPEC HAL-2, HAL-6, BM-9, BM-11, BM-21, BM-25. */
#include "arch/x86_64/memory/mem.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"
#include "machine_env.h"

/* Console. ---------------------------------------------------------------------------------- */

#define COM1 0x3f8u
#define DIVISOR_LATCH 0x80u

/* BM-9: the divisor of the port's 115200 Hz is 1; 8 bits, no parity, 1 stop bit. */
GMK_TEST(kernel_base_the_port_runs_at_115200_8n1)
{
    uint64_t flags = x86_irq_save();
    uint8_t line = x86_in8(COM1 + 3), low, high;

    x86_out8(COM1 + 3, line | DIVISOR_LATCH);
    low = x86_in8(COM1);
    high = x86_in8(COM1 + 1);
    x86_out8(COM1 + 3, line);
    x86_irq_restore(flags);
    gmk_test_assert_eq(low | high << 8, 1);
    gmk_test_assert_eq(line, 3);
}

/* What ksnprintf makes of it; its length goes to *n. */
#define SAYS(text, ...)                                                                            \
    do {                                                                                           \
        char got[64];                                                                              \
        size_t n = ksnprintf(got, sizeof(got), __VA_ARGS__);                                       \
                                                                                                   \
        gmk_test_assert_str_eq(got, text);                                                         \
        gmk_test_assert_eq(n, sizeof(text) - 1);                                                   \
    } while (0)

/* BM-11: formatted output, and a port from which nothing is to be read. */
GMK_TEST(kernel_base_formats_are_printed)
{
    const char *volatile none = NULL;
    char to[8];

    SAYS("a b% (null)", "%c %s%% %s", 'a', "b", none);
    SAYS("-1 -9223372036854775808 4294967295", "%d %ld %u", -1, (long)INT64_MIN, UINT32_MAX);
    SAYS("18446744073709551615 beef 00ff", "%lu %x %04x", (unsigned long)UINT64_MAX, 0xbeefu, 255u);
    SAYS("[   7] [7   ] [0007] [ ab] 9", "[%4u] [%-4u] [%04u] [%3s] %zu", 7u, 7u, 7u, "ab",
         (size_t)9);
    SAYS("ffffffff80000000", "%p", (void *)0xffffffff80000000);
    gmk_test_assert_eq(ksnprintf(to, sizeof(to), "%s", "longer than that"), 7);
    gmk_test_assert_str_eq(to, "longer ");
    gmk_test_assert(!serial_data_ready());
    gmk_test_assert_eq(serial_getc(), -1);
    serial_putc('.');
    serial_puts(" said by serial_puts\n");
}

/* Threads. ---------------------------------------------------------------------------------- */

/* uint64_t keeps_registers(uint64_t v): sets each register that a call must keep to a value of
 * its own, gives the turn up, and returns 0 if all of them are as they were. */
uint64_t keeps_registers(uint64_t v);
__asm__(".text\n"
        "keeps_registers:\n\t"
        "pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15; pushq %rdi\n\t"
        "leaq 1(%rdi), %rbx; leaq 2(%rdi), %rbp; leaq 3(%rdi), %r12\n\t"
        "leaq 4(%rdi), %r13; leaq 5(%rdi), %r14; leaq 6(%rdi), %r15\n\t"
        "call x86_relax\n\t"
        "popq %rdi\n\t"
        "leaq -1(%rbx), %rax; xorq %rdi, %rax\n\t"
        "leaq -2(%rbp), %rcx; xorq %rdi, %rcx; orq %rcx, %rax\n\t"
        "leaq -3(%r12), %rcx; xorq %rdi, %rcx; orq %rcx, %rax\n\t"
        "leaq -4(%r13), %rcx; xorq %rdi, %rcx; orq %rcx, %rax\n\t"
        "leaq -5(%r14), %rcx; xorq %rdi, %rcx; orq %rcx, %rax\n\t"
        "leaq -6(%r15), %rcx; xorq %rdi, %rcx; orq %rcx, %rax\n\t"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n\t"
        "ret\n");

#define SWITCHERS 3u
#define SWITCHES 200u

static gmk_a32_t n_lost;

static void *switch_often(void *arg)
{
    uint64_t v = (uintptr_t)arg << 32;

    for (uint32_t i = 0; i < SWITCHES; i++)
        word_add(&n_lost, keeps_registers(v + 16 * i) != 0);
    return NULL;
}

/* BM-21: rbx, rbp, r12 to r15 and the stack of a thread are its own. */
GMK_TEST(kernel_base_a_switch_keeps_the_registers)
{
    uint32_t cpu = x86_n_cpus - 1;
    x86_thread_t *t[SWITCHERS];
    x86_load_t before, after;

    x86_get_load(cpu, &before);
    x86_hold(); /* with one processor: all are there before the first runs */
    for (uint32_t i = 0; i < SWITCHERS; i++)
        GMK_REQUIRE(x86_thread_start(&t[i], cpu, switch_often, (void *)(uintptr_t)(i + 1)) == 0);
    x86_drop();
    for (uint32_t i = 0; i < SWITCHERS; i++)
        x86_thread_join(t[i]);
    x86_get_load(cpu, &after);
    gmk_test_assert_eq(word_get(&n_lost), 0);
    gmk_test_assert_ge(after.n_switches, before.n_switches + SWITCHES);
}

/* Addresses and memory. ---------------------------------------------------------------------- */

static uint64_t in_the_image = 4711;

/* BM-25: the direct map shows what the image has, and the way back is the way there. */
GMK_TEST(kernel_base_an_address_has_two_views)
{
    uint64_t phys = virt_to_phys(&in_the_image);
    volatile uint64_t *other = phys_to_virt(phys);

    gmk_test_assert((uintptr_t)other != (uintptr_t)&in_the_image);
    gmk_test_assert_eq(*other, 4711);
    *other = 4712;
    gmk_test_assert_eq(*(volatile uint64_t *)&in_the_image, 4712);
    gmk_test_assert_eq(virt_to_phys((const void *)(uintptr_t)other), phys);
    gmk_test_assert_eq(paging_phys(&in_the_image), phys);
    gmk_test_assert_eq(virt_to_phys((void *)8), 0);
    gmk_test_assert_eq(virt_to_phys((void *)MEM_HEAP_BASE), 0);
}

/* HAL-2, HAL-6, R13: pages are zeroed and aligned, objects of any size, both given back. */
GMK_TEST(kernel_base_memory_of_the_port_is_zeroed_and_given_back)
{
    uint64_t used = vmm_get_heap_used(), pages = vmm_stats().area_pages, sum = 0;

    for (uint32_t round = 0; round < 3; round++) {
        uint8_t *a = gmk_hal_page_alloc(3 * MEM_PAGE, MEM_BIG_PAGE);
        uint64_t *small = gmk_hal_calloc(7, 8), *large = gmk_hal_calloc(40000, 8);

        GMK_REQUIRE(a != NULL && small != NULL && large != NULL);
        gmk_test_assert_eq((uintptr_t)a % MEM_BIG_PAGE, 0);
        for (uint32_t i = 0; i < 3 * MEM_PAGE; i++)
            sum += a[i];
        for (uint32_t i = 0; i < 40000; i++)
            sum += large[i] + small[i % 7];
        gmk_test_assert_eq(sum, 0);
        gmk_hal_memset(a, 0xff, 3 * MEM_PAGE);
        gmk_hal_memset(small, 0xff, 56);
        gmk_hal_memcpy(large, a, 3 * MEM_PAGE);
        gmk_test_assert_eq(large[1535], UINT64_MAX);
        gmk_hal_free(small);
        gmk_hal_free(large);
        gmk_hal_page_free(a, 3 * MEM_PAGE);
    }
    gmk_test_assert(gmk_hal_page_alloc(0, 0) == NULL && gmk_hal_page_alloc(1, 3) == NULL);
    gmk_test_assert(gmk_hal_calloc(SIZE_MAX / 2, 3) == NULL);
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    gmk_test_assert_eq(vmm_stats().area_pages, pages);
}

/* BM-29: the string functions that the kernel links, as it calls them. */
GMK_TEST(kernel_base_string_functions_are_the_kernels_own)
{
    char a[16] = "0123456789abcde", b[16];

    memcpy(b, a, sizeof(b));
    gmk_test_assert_eq(memcmp(a, b, sizeof(b)), 0);
    memmove(a + 2, a, 10);
    gmk_test_assert_str_eq(a, "010123456789cde");
    memset(b, 'x', 4);
    gmk_test_assert(strncmp(b, "xxxx4", 5) == 0 && strncmp(b, "xxxy", 4) < 0);
    strncpy(b, "ab", 4);
    gmk_test_assert(b[0] == 'a' && b[2] == 0 && b[3] == 0 && b[4] == '4');
}
