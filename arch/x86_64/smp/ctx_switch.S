/* SPDX-License-Identifier: MIT
 * Changes of stack: from one thread to the next, into a new one, and out of a guarded call.
 * Floor: arch. A saved context is rsp, and below it rbx, rbp, r12 to r15 and the way back.
 * Source: SPEC BM-21; System V ABI, AMD64 supplement 3.2.1. */
        .text

/* void x86_ctx_switch(uint64_t *save, uint64_t load) */
        .globl x86_ctx_switch
        .type x86_ctx_switch, @function
x86_ctx_switch:
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, (%rdi)
        movq %rsi, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .size x86_ctx_switch, . - x86_ctx_switch

/* A new thread comes here by that ret, with itself in rbx; the stack is aligned. */
        .globl x86_thread_entry
        .type x86_thread_entry, @function
x86_thread_entry:
        movq %rbx, %rdi
        xorl %ebp, %ebp
        call x86_thread_main
        ud2
        .size x86_thread_entry, . - x86_thread_entry

/* uint32_t x86_guard_enter(x86_guard_t *g, void (*fn)(void *), void *arg)
 * A fault goes on at 1: with rax set and the registers of *g. */
        .globl x86_guard_enter
        .type x86_guard_enter, @function
x86_guard_enter:
        movq %rbx, 0(%rdi)
        movq %rbp, 8(%rdi)
        movq %r12, 16(%rdi)
        movq %r13, 24(%rdi)
        movq %r14, 32(%rdi)
        movq %r15, 40(%rdi)
        pushq %rbp
        movq %rsp, 48(%rdi)
        leaq 1f(%rip), %rax
        movq %rax, 56(%rdi)
        movq %rdx, %rdi
        call *%rsi
        xorl %eax, %eax
1:      popq %rbp
        ret
        .size x86_guard_enter, . - x86_guard_enter

        .section .note.GNU-stack, "", @progbits
