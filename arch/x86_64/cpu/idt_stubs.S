/* SPDX-License-Identifier: MIT
 * 256 entry stubs: each pushes its number, with a 0 where the processor pushes no error code,
 * and leaves an x86_frame_t to x86_trap(frame). Below it lie two words that look like a call
 * from the interrupted code, so that who follows the frames comes to it.
 * Floor: arch. Source: SPEC BM-15, BM-16. */
        .altmacro

        .macro stub n
        .balign 16
stub_\n:
        .if (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17) || (\n == 21) || (\n == 29) || (\n == 30)
        .else
        pushq $0
        .endif
        pushq $\n
        jmp x86_trap_entry
        .endm

        .macro address n
        .quad stub_\n
        .endm

        .text
        .balign 16
        .type x86_trap_entry, @function
x86_trap_entry:
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        cld
        movq %rsp, %rdi
        pushq 136(%rdi) /* rip */
        pushq %rbp
        movq %rsp, %rbp
        call x86_trap
        addq $16, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp
        iretq
        .size x86_trap_entry, . - x86_trap_entry

        .set i, 0
        .rept 256
        stub %i
        .set i, i + 1
        .endr

        .section .rodata
        .balign 8
        .globl idt_stubs
idt_stubs:
        .set i, 0
        .rept 256
        address %i
        .set i, i + 1
        .endr

        .section .note.GNU-stack, "", @progbits
