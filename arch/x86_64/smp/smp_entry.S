/* SPDX-License-Identifier: MIT
 * An application processor's first instructions, on the loader's tables and stack, its record
 * in rdi: the kernel's page tables, a stack of its own, C.
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

        .section .note.GNU-stack, "", @progbits
