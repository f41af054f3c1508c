/* SPDX-License-Identifier: MIT
 * The smallest guest, to test tools/qemu.py with: QEMU enters it by PVH in 32-bit mode, EBX
 * the start info. It prints "guest up" on COM1 and does what the first letter of its command
 * line says: 0-9 that verdict; s verdict 0 without a word; h hangs; t triple fault; k prints a
 * prompt, waits for the key q and gives 0; f prints for ever. */
    .code32
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .balign 4
    .long _start, 0

    .text
    .globl _start
_start:
    cli
    mov 24(%ebx), %esi          /* the command line's address */
    test %esi, %esi
    jz 1f
    movzbl (%esi), %ebp
    jmp 2f
1:  mov $'0', %ebp
2:  cmp $'s', %ebp
    je silent
    mov $hello, %esi
    call print
    cmp $'h', %ebp
    je hang
    cmp $'t', %ebp
    je fault
    cmp $'k', %ebp
    je keys
    cmp $'f', %ebp
    je flood
    lea -'0'(%ebp), %eax
verdict:
    mov $0xf4, %dx
    out %eax, %dx
hang:
    hlt
    jmp hang
silent:
    xor %eax, %eax
    jmp verdict
fault:
    lidt none
    int3
keys:
    mov $prompt, %esi
    call print
3:  mov $0x3fd, %dx             /* line status: data ready */
    in %dx, %al
    test $1, %al
    jz 3b
    mov $0x3f8, %dx
    in %dx, %al
    cmp $'q', %al
    jne 3b
    mov $bye, %esi
    call print
    jmp silent
flood:
    mov $hello, %esi
    call print
    jmp flood
print:
    mov $0x3f8, %dx
4:  lodsb (%esi), %al
    test %al, %al
    jz 5f
    out %al, %dx
    jmp 4b
5:  ret

    .section .rodata
hello:  .asciz "guest up\n"
prompt: .asciz "key? "
bye:    .asciz "bye\n"
none:   .word 0
    .long 0
    .section .note.GNU-stack, "", @progbits
