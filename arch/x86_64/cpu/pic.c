/* SPDX-License-Identifier: MIT
 * 8259 pair.
 * Floor: arch. Source: 8259A data sheet. */
#include "arch/x86_64/cpu/pic.h"

#include "arch/x86_64/cpu/lock.h"

#define MASTER 0x20u
#define SLAVE 0xa0u
#define END_OF_INTERRUPT 0x20u
#define READ_IN_SERVICE 0x0bu
#define CASCADE 2u
#define LINES 16u
#define OWNERS 8u /* of a line */

typedef struct owner {
    void (*fn)(void *);
    void *arg;
} owner_t;

static x86_lock_t lock;
static owner_t owners[LINES][OWNERS];
static uint16_t masked = 0xffff;

static void set_mask(void)
{
    x86_out8(MASTER + 1, (uint8_t)masked);
    x86_out8(SLAVE + 1, (uint8_t)(masked >> 8));
}

void pic_init(void)
{
    x86_out8(MASTER, 0x11); /* four words of initialisation follow */
    x86_out8(SLAVE, 0x11);
    x86_out8(MASTER + 1, X86_PIC_VECTOR);
    x86_out8(SLAVE + 1, X86_PIC_VECTOR + 8);
    x86_out8(MASTER + 1, 1u << CASCADE);
    x86_out8(SLAVE + 1, CASCADE);
    x86_out8(MASTER + 1, 0x01);
    x86_out8(SLAVE + 1, 0x01);
    set_mask();
}

int pic_route(uint32_t line, void (*fn)(void *), void *arg)
{
    uint32_t i = 0;
    uint64_t flags;

    if (line >= LINES)
        return -1;
    flags = x86_lock_irq(&lock);
    while (i < OWNERS && owners[line][i].fn != NULL)
        i++;
    if (i < OWNERS) {
        owners[line][i].arg = arg;
        owners[line][i].fn = fn;
        masked &= (uint16_t) ~(1u << line);
        if (line >= 8)
            masked &= (uint16_t) ~(1u << CASCADE);
        set_mask();
    }
    x86_unlock_irq(&lock, flags);
    return i < OWNERS ? 0 : -1;
}

static uint8_t in_service(uint16_t chip)
{
    x86_out8(chip, READ_IN_SERVICE);
    return x86_in8(chip);
}

/* Lines 7 and 15 also ring when a request has gone away; then nothing is in service. */
static bool is_spurious(uint32_t line)
{
    uint16_t chip = line < 8 ? MASTER : SLAVE;

    if ((line & 7) != 7)
        return false;
    return (in_service(chip) & 0x80) == 0;
}

uint32_t pic_in_service(void)
{
    uint8_t master = in_service(MASTER);

    if ((master & 1u << CASCADE) != 0) {
        uint8_t slave = in_service(SLAVE);

        if (slave != 0)
            return X86_PIC_VECTOR + 8 + (uint32_t)__builtin_ctz(slave);
    }
    return master != 0 ? X86_PIC_VECTOR + (uint32_t)__builtin_ctz(master) : 0;
}

void pic_interrupt(uint32_t vector)
{
    uint32_t line = vector - X86_PIC_VECTOR;
    bool spurious = is_spurious(line);

    if (spurious)
        x86_cpu_self()->n_spurious++;
    for (uint32_t i = 0; !spurious && i < OWNERS && owners[line][i].fn != NULL; i++)
        owners[line][i].fn(owners[line][i].arg);
    if (line >= 8 && !spurious)
        x86_out8(SLAVE, END_OF_INTERRUPT);
    if (line >= 8 || !spurious)
        x86_out8(MASTER, END_OF_INTERRUPT);
}
