/* SPDX-License-Identifier: MIT
 * The shim's first and last instructions: entries by PVH and Multiboot2 (32-bit, paging off),
 * the other CPUs' entry (16-bit), the way to long mode, and the hand-off to the kernel.
 * Floor: arch. The boot page tables show 0 to 4 GiB twice, at 0 and at the HHDM.
 * Source: Xen's PVH boot ABI; Multiboot2 2.0 section 3; Intel SDM volume 3, section 9.8.5. */

#define HHDM 0xffff800000000000
#define SEL_CODE 0x28
#define SEL_DATA 0x30
#define CR0 0x80010011 /* PG WP ET PE */
#define CR4 0x20       /* PAE */
#define EFER 0xc0000080
#define EFER_BITS 0x900 /* LME NXE */
#define COM1 0x3f8
#define NAP_COUNT 500000 /* 0.5 ms under QEMU; some more on machines with a slower bus */

    .section .note.GNU-stack, "", @progbits

    .section .multiboot2, "a"
    .balign 8
header:
    .long 0xe85250d6, 0, header_end - header
    .long -(0xe85250d6 + (header_end - header))
    .word 6, 0 /* modules begin on pages */
    .long 8
    .word 0, 0
    .long 8
header_end:

    .section .note.pvh, "a"
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad shim_start_pvh

    .text
    .code32
    .global shim_start_mb2, shim_start_pvh
shim_start_mb2:
    cli
    cld
    mov $shim_stack_end, %esp
    mov $say_start, %esi
    cmp $0x36d76289, %eax
    jne fail
    mov $2, %ebp
    jmp start
shim_start_pvh:
    cli
    cld
    mov $shim_stack_end, %esp
    mov $1, %ebp
start:
    mov %ebx, %edi
    /* A CPU without CPUID cannot change bit 21 of its flags. */
    mov $say_long, %esi
    pushl $0x200002
    popfl
    pushfl
    popl %eax
    pushl $2
    popfl
    test $0x200000, %eax
    jz fail
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb fail
    mov $0x80000001, %eax
    cpuid
    test $(1 << 29), %edx
    jz fail
    mov $say_nx, %esi
    test $(1 << 20), %edx
    jz fail

    mov $boot_pdpt + 3, %eax
    mov %eax, boot_pml4
    mov %eax, boot_pml4 + 256 * 8
    mov $boot_pd + 3, %eax
    mov $boot_pdpt, %ecx
1:  mov %eax, (%ecx)
    add $4096, %eax
    add $8, %ecx
    cmp $boot_pdpt + 4 * 8, %ecx
    jne 1b
    mov $0x83, %eax
    mov $boot_pd, %ecx
1:  mov %eax, (%ecx)
    add $0x200000, %eax
    add $8, %ecx
    cmp $boot_pd + 2048 * 8, %ecx
    jne 1b

    mov $CR4, %eax
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    mov $CR0, %eax
    mov %eax, %cr0
    lgdt boot_gdtr
    ljmp $SEL_CODE, $start64

/* Says the text at %esi on the serial port and stops. */
fail:
    mov $COM1 + 3, %edx
    mov $0x80, %al
    out %al, %dx
    mov $COM1, %edx
    mov $1, %al
    out %al, %dx
    inc %edx
    xor %eax, %eax
    out %al, %dx
    mov $COM1 + 3, %edx
    mov $3, %al
    out %al, %dx
1:  mov $COM1 + 5, %edx
    mov $0x100000, %ecx
2:  in %dx, %al
    test $0x20, %al
    loopz 2b
    mov $COM1, %edx
    lodsb
    test %al, %al
    jz 3f
    out %al, %dx
    jmp 1b
3:  cli
    hlt
    jmp 3b

    .code64
start64:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    xor %eax, %eax
    lldt %ax
    mov $shim_stack_end, %esp
    mov %edi, %esi /* clears the upper halves */
    mov %ebp, %edi
    xor %ebp, %ebp
    call shim_main
1:  cli
    hlt
    jmp 1b

/* The other CPUs. This part is copied to a page below 1 MiB; it uses no address of its own but
 * by DS, and all others are fixed. */
    .code16
    .global shim_ap_blob, shim_ap_blob_end
shim_ap_blob:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdtr - shim_ap_blob
    mov $CR4, %eax
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_BITS, %eax
    wrmsr
    mov $CR0, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE, $ap64
    .balign 4
ap_gdtr:
    .word gdt_end - gdt - 1
    .long gdt
shim_ap_blob_end:

/* Each takes a number, and by it a stack. */
    .code64
ap64:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    xor %eax, %eax
    lldt %ax
    mov $1, %eax
    lock xadd %eax, shim_ap_ticket
    cmp shim_ap_limit, %eax
    jae 1f
    inc %eax
    imul shim_ap_stack_bytes, %rax
    add shim_ap_stacks, %rax
    mov %rax, %rsp
    mov %rax, %rdi
    xor %ebp, %ebp
    call shim_ap_main
1:  cli
    hlt
    jmp 1b

/* Runs at its HHDM address, under both page tables. A CPU gets the state that the protocol
 * promises: GDT, all registers 0, a return address of 0.
 * shim_leave(rdi: const shim_handoff_t *) */
    .section .handoff, "ax"
    .macro take_handoff
    mov 16(%rdi), %rsp
    mov (%rdi), %rax
    mov %rax, %cr3
    mov 8(%rdi), %rax
    lgdt (%rax)
    pushq $SEL_CODE
    lea 1f(%rip), %rax
    pushq %rax
    lretq
1:  mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    .endm

    .macro clear_but_rdi
    xor %eax, %eax
    xor %ebx, %ebx
    xor %ecx, %ecx
    xor %edx, %edx
    xor %esi, %esi
    xor %ebp, %ebp
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    xor %r12d, %r12d
    xor %r13d, %r13d
    xor %r14d, %r14d
    xor %r15d, %r15d
    .endm

    .global shim_leave
shim_leave:
    take_handoff
    pushq $0
    pushq 24(%rdi)
    pushq $2
    popfq
    clear_but_rdi
    mov $0, %edi
    ret

/* shim_ap_wait(rdi: const shim_handoff_t *): reports by adding to *(24), then waits until the
 * record at 32 has a goto_address. It looks, naps, and looks again: CPUs that spin would take the
 * host's time from the one that boots the kernel. */
    .global shim_ap_wait
shim_ap_wait:
    take_handoff
    mov 24(%rdi), %rax
    mov 32(%rdi), %rdi
    lock incl (%rax)
1:  mov 16(%rdi), %rax
    test %rax, %rax
    jnz 2f
    mov $NAP_COUNT, %eax
    call nap
    jmp 1b
2:  mov %rax, %rbx
    mov $0x320, %ecx /* timer: masked */
    mov $0x10000, %eax
    call lapic_write
    mov $0xf0, %ecx /* controller: off, as after a reset */
    mov $0xff, %eax
    call lapic_write
    mov %rbx, %rax
    pushq $0
    pushq %rax
    pushq $2
    popfq
    clear_but_rdi
    ret

/* lapic_write(ecx: register, eax: value); keeps rdi and rbx. */
lapic_write:
    mov shim_lapic(%rip), %rdx
    test %rdx, %rdx
    jz 1f
    mov %eax, (%rdx, %rcx)
    ret
1:  shr $4, %ecx
    add $0x800, %ecx
    wrmsr /* rdx is 0 */
    ret

/* nap(eax: count of the timer): halts until the next interrupt. STI takes effect behind HLT, so
 * a timer that is through already ends the nap, too. */
nap:
    mov $0x380, %ecx
    call lapic_write
    sti
    hlt
    cli
    ret

/* shim_nap(edi: count), from C. */
    .global shim_nap
shim_nap:
    mov %edi, %eax
    jmp nap

/* What ends a nap. */
    .global shim_on_timer, shim_on_other
shim_on_timer:
    push %rax
    push %rcx
    push %rdx
    mov $0xb0, %ecx /* end of interrupt */
    xor %eax, %eax
    call lapic_write
    pop %rdx
    pop %rcx
    pop %rax
shim_on_other:
    iretq

/* Exceptions 0 to 31 before the hand-off: the shim's own fault, or bad memory. */
    .text
    .global shim_exception_stubs
    .altmacro
    .macro exception_stub n
    .balign 16
    .if (\n == 8) || (\n == 10) || (\n == 11) || (\n == 12) || (\n == 13) || (\n == 14) || (\n == 17)
    .else
    push $0
    .endif
    push $\n
    jmp exception
    .endm
    .balign 16
shim_exception_stubs:
    .set vector, 0
    .rept 32
    exception_stub %vector
    .set vector, vector + 1
    .endr
exception:
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov 16(%rsp), %rdx
    mov %cr2, %rcx
    call shim_on_exception
1:  hlt
    jmp 1b

    .section .rodata
say_start:
    .asciz "shim: unknown start: neither PVH nor a Multiboot2 loader entered; start it by qemu -kernel or GRUB's multiboot2\r\n"
say_long:
    .asciz "shim: no long mode: this CPU is 32-bit; use a 64-bit one (qemu-system-x86_64 -cpu qemu64)\r\n"
say_nx:
    .asciz "shim: no NX bit: this CPU cannot forbid execution of data; use another (-cpu qemu64) or switch it on in the firmware\r\n"

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00009b000000ffff /* 08 code, 16 bits */
    .quad 0x000093000000ffff /* 10 data, 16 bits */
    .quad 0x00cf9b000000ffff /* 18 code, 32 bits */
    .quad 0x00cf93000000ffff /* 20 data, 32 bits */
    .quad 0x00af9b000000ffff /* 28 code, 64 bits */
    .quad 0x00cf93000000ffff /* 30 data, 64 bits */
gdt_end:
    .balign 4
boot_gdtr:
    .word gdt_end - gdt - 1
    .long gdt
    .balign 8
    .global shim_final_gdtr
    .word 0, 0, 0
shim_final_gdtr:
    .word gdt_end - gdt - 1
    .quad gdt + HHDM
    .global shim_lapic
shim_lapic:
    .quad 0 /* its registers in the HHDM, 0: in MSRs (x2APIC) */

    .bss
    .balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
    .skip 32768
shim_stack_end:
