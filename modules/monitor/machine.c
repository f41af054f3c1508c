/* SPDX-License-Identifier: MIT
 * Commands that show or change the machine: lists, sectors, the end.
 * Floor: modules. Source: SPEC BM-38. */
#include "command.h"

#define ROW 16u /* bytes shown on a line */

void mon_do_heap(mon_call_t *c) { mon_list(c, MON_HEAP); }
void mon_do_map(mon_call_t *c) { mon_list(c, MON_MAP); }
void mon_do_cpu(mon_call_t *c) { mon_list(c, MON_CPUS); }
void mon_do_pci(mon_call_t *c) { mon_list(c, MON_PCI); }
void mon_do_disk(mon_call_t *c) { mon_list(c, MON_DISKS); }

/* Disks. -------------------------------------------------------------------------------- */

/* The sectors of the disk that word i names, or of the first. returns: 0, with the refusal
 * made: there is none. */
static uint64_t sectors_of(mon_call_t *c, uint32_t i)
{
    const mon_ops_t *ops = c->mon->ops;
    const char *name = i < c->n ? c->word[i] : "";
    uint64_t n = 0;

    if (ops->sectors != NULL && mon_length(name) < sizeof(c->mon->exec.io.disk))
        n = ops->sectors(c->mon->arg, name);
    if (n == 0 && name[0] == '\0')
        mon_refuse(c, "this machine has no disk; start it with one");
    else if (n == 0)
        mon_refuse(c, "there is no disk '%s'; 'disk' lists those there are", name);
    return n;
}

void mon_do_blkcap(mon_call_t *c)
{
    uint64_t n = sectors_of(c, 1);

    if (n != 0)
        mon_print(c, "%lu sectors of %u bytes, %lu KiB\n", n, MON_SECTOR, n / 2);
}

/* Starts a transfer of n sectors from the one in word 1, on the disk in word `disk`. */
static void transfer(mon_call_t *c, bool write, uint64_t n, uint32_t disk)
{
    mon_exec_t *x = &c->mon->exec;
    uint64_t all = sectors_of(c, disk), sector;

    if (all == 0 || !mon_number(c, 1, UINT64_MAX, &sector))
        return;
    if (sector >= all || n > all - sector) {
        mon_refuse(c, "the disk ends before sector %lu; give a lower one", all);
        return;
    }
    if (x->pending) {
        mon_refuse(c, "another transfer is under way; try again when it has ended");
        return;
    }
    x->io = (mon_io_t){.write = write, .sector = sector, .n = (uint32_t)n, .buf = x->buf};
    if (disk < c->n)
        gmk_hal_memcpy(x->io.disk, c->word[disk], mon_length(c->word[disk]));
    x->tag = c->tag;
    x->pending = true;
    c->later = true;
    c->mon->ops->io(c->mon->arg, &x->io);
}

void mon_do_blkread(mon_call_t *c)
{
    uint64_t n = 1;

    if (c->n > 2 && !mon_number(c, 2, MON_MAX_SECTORS, &n))
        return;
    if (n == 0)
        mon_refuse(c, "0 sectors are nothing to show; give 1 to %u", MON_MAX_SECTORS);
    else
        transfer(c, false, n, 3);
}

void mon_do_blkwrite(mon_call_t *c)
{
    uint64_t byte;

    if (!c->mon->ops->may_write) {
        mon_refuse(c, "disks are not written here; boot with the word `destructive` on the "
                      "command line to allow it");
        return;
    }
    if (!mon_number(c, 2, 255, &byte))
        return;
    if (!c->mon->exec.pending)
        gmk_hal_memset(c->mon->exec.buf, (int)byte, MON_SECTOR);
    transfer(c, true, 1, 3);
}

static void show_row(mon_call_t *c, uint64_t at, const uint8_t *b)
{
    mon_print(c, "%08lx ", at);
    for (uint32_t i = 0; i < ROW; i++)
        mon_print(c, "%s%02x", i % 8 == 0 ? "  " : " ", b[i]);
    mon_print(c, "  |");
    for (uint32_t i = 0; i < ROW; i++)
        mon_print(c, "%c", b[i] >= ' ' && b[i] < 0x7f ? b[i] : '.');
    mon_print(c, "|\n");
}

void mon_io_ended(mon_call_t *c)
{
    const mon_io_t *io = &c->mon->exec.io;

    if (io->wrong != NULL)
        mon_refuse(c, "sector %lu: %s; 'disk' shows how it fares", io->sector, io->wrong);
    else if (io->write)
        mon_print(c, "sector %lu: %u bytes of 0x%02x written and flushed\n", io->sector, MON_SECTOR,
                  io->buf[0]);
    else
        for (uint32_t i = 0; i < io->n * MON_SECTOR; i += ROW)
            show_row(c, io->sector * MON_SECTOR + i, io->buf + i);
}

/* The end. ------------------------------------------------------------------------------ */

static void end(mon_call_t *c, enum mon_end how, const char *text)
{
    mon_print(c, "%s\n", text);
    c->flags |= MON_ENDS;
    c->ends = true;
    c->how = how;
}

void mon_do_halt(mon_call_t *c) { end(c, MON_HALT, "the kernel ends"); }
void mon_do_reboot(mon_call_t *c)
{
    end(c, MON_REBOOT, "the kernel ends, the machine starts anew");
}

void mon_do_panic(mon_call_t *c)
{
    if (mon_same(c->word[1], "test"))
        end(c, MON_PANIC, "a panic follows");
    else
        mon_refuse(c, "'%s' is not the word that it wants; write: panic test", c->word[1]);
}
