/* SPDX-License-Identifier: MIT
 * An application processor's first instructions, on the loader's tables and stack, its record
 * in rdi: the kernel's page tables, a stack of its own, C; or a place to stand still.
 * Floor: arch. Source: SPEC BM-30; BOOT.md section 1. */
        .text
        .globl smp_entry
        .type smp_entry, @function
smp_entry:
        cli
        cld
        movl $0xc0000080, %ecx /* NX, which the kernel's tables use */
        rdmsr
        orl $0x800, %eax
        wrmsr
        movq 24(%rdi), %rbx /* extra_argument: start_t */
        movq 0(%rbx), %rax
        movq 8(%rbx), %rcx
        movq %rax, %cr3
        movq %rcx, %rsp
        xorl %ebp, %ebp
        pushq $0
        movq %rbx, %rdi
        jmp smp_ap_main
        .size smp_entry, . - smp_entry

/* One that has no place here, or no memory to start: it only leaves the loader's memory, which
 * is about to be given away. extra_argument: the root of the kernel's tables. No stack. */
        .globl smp_stay
        .type smp_stay, @function
smp_stay:
        cli
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x800, %eax
        wrmsr
        movq 24(%rdi), %rax
        movq %rax, %cr3
        lock incl smp_n_stay(%rip)
1:      cli
        hlt
        jmp 1b
        .size smp_stay, . - smp_stay

        .section .note.GNU-stack, "", @progbits
