/* SPDX-License-Identifier: MIT
 * The monitor on a made-up machine: the terminal's line editor, dispatch, every command and
 * its refusals, answers in pieces, transfers, other issuers of commands.
 * Floor: tests. Source: SPEC BM-38, STD-26, V-57, V-76. */
#include "kernel_env.h"

#include "../modules/monitor/command.h"

#define SCREEN 65536u
#define DISK_SECTORS 100u
#define OTHER_TAG 7u
#define ABOVE_ALL "~" /* a line that is made up for each list */

enum { FAILS = 1, NAPS };

typedef struct rig_mon {
    gmk_kernel_t kernel;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    mon_t mon;
    uint32_t keys, done;
    char screen[SCREEN]; /* what was written since it was last cleared */
    uint32_t n;
    mon_io_t *io;    /* the transfer under way */
    uint32_t n_ends; /* calls of end */
    enum mon_end how;
    uint32_t n_lines; /* of each list */
    char answer[256]; /* to the other issuer */
    uint32_t n_answer, n_last;
} mon_rig_t;

static mon_rig_t r;
static void *blocks[4096];

/* The machine. --------------------------------------------------------------------------- */

static void fake_write(void *arg, const char *text, size_t n)
{
    mon_rig_t *rig = arg;

    for (size_t i = 0; i < n && rig->n + 1 < SCREEN; i++)
        rig->screen[rig->n++] = text[i];
    rig->screen[rig->n] = '\0';
}

static size_t put(char *to, const char *text)
{
    gmk_hal_memcpy(to, text, mon_length(text));
    return mon_length(text);
}

static size_t fake_line(void *arg, enum mon_list list, uint32_t i, char *to, size_t bytes)
{
    static const char *const names[MON_LISTS] = {"cpus", "threads", "memory", "heap",
                                                 "map",  "pci",     "disks"};

    if (i >= ((mon_rig_t *)arg)->n_lines || bytes < 160)
        return 0;
    gmk_hal_memcpy(to, ABOVE_ALL, 1);
    return 1 + put(to + 1, names[list]);
}

static uint64_t fake_sectors(void *arg, const char *disk)
{
    (void)arg;
    return disk[0] == '\0' || mon_same(disk, "fake0") ? DISK_SECTORS : 0;
}

static void fake_io(void *arg, mon_io_t *io) { ((mon_rig_t *)arg)->io = io; }

static void fake_end(void *arg, enum mon_end how)
{
    mon_rig_t *rig = arg;

    rig->n_ends++;
    rig->how = how;
}

static const mon_ops_t whole = {.write = fake_write,
                                .line = fake_line,
                                .sectors = fake_sectors,
                                .io = fake_io,
                                .end = fake_end,
                                .may_write = true};
static const mon_ops_t guarded = {.write = fake_write,
                                  .line = fake_line,
                                  .sectors = fake_sectors,
                                  .io = fake_io,
                                  .end = fake_end};
static const mon_ops_t bare = {.write = fake_write, .end = fake_end};

/* Another module: issues commands, and has a task that fails. ------------------------------- */

static int on_fails(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(42);
}

static int on_their_answer(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;
    mon_rig_t *rig = ctx->user;

    if (t->meta0 != OTHER_TAG)
        return GMK_OK;
    for (uint32_t i = 0; i < t->payload_len && rig->n_answer + 1 < sizeof(rig->answer); i++)
        rig->answer[rig->n_answer++] = ((const char *)(uintptr_t)t->payload_ptr)[i];
    rig->n_last += (t->meta1 & MON_LAST) != 0;
    return GMK_OK;
}

static gmk_handler_reg_t other_handlers[] = {
    {.type = FAILS, .fn = on_fails, .name = "fails"},
    {.type = MON_TYPE_ANSWER, .fn = on_their_answer, .name = "answer"}};
static gmk_chan_decl_t other_channels[] = {{.name = "cli.resp",
                                            .direction = GMK_CHAN_CONSUME,
                                            .msg_type = MON_TYPE_ANSWER,
                                            .mode = GMK_CHAN_FANOUT,
                                            .guarantee = GMK_CHAN_LOSSLESS}};
static gmk_module_t other = {.name = "other",
                             .handlers = other_handlers,
                             .n_handlers = 2,
                             .channels = other_channels,
                             .n_channels = 1,
                             .user = &r};

/* The rig. ---------------------------------------------------------------------------------- */

static bool idle(void) { return kit_idle(&r.kernel); }

/* Types, as often as the channel is full. */
static void type_only(const char *text)
{
    size_t n = mon_length(text);

    for (size_t i = 0; i < n; i += MON_TYPE_BYTES) {
        uint32_t k = n - i < MON_TYPE_BYTES ? (uint32_t)(n - i) : MON_TYPE_BYTES;

        while (mon_type(r.ctx, r.keys, text + i, k) == GMK_CHAN_FULL)
            gmk_hal_relax();
    }
}

/* Types on a clear screen and waits until all is said. */
static void type(const char *text)
{
    r.n = 0;
    r.screen[0] = '\0';
    type_only(text);
    idle();
}

static bool begin(const mon_ops_t *ops)
{
    gmk_boot_cfg_t cfg = {.arena_size = 4u << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES,
                          .evq_slots = 64,
                          .trace_slots = 64};
    gmk_module_t *mods[MON_N_MODULES + 1];
    int keys, done;

    gmk_hal_memset(&r, 0, sizeof(r));
    r.n_lines = 2;
    mon_setup(&r.mon, ops, &r, mods);
    mods[MON_N_MODULES] = &other;
    if (!kit_boot_mods(&r.kernel, &cfg, mods, MON_N_MODULES + 1))
        return false;
    r.ctx = gmk_host_attach(&r.kernel, &r.host);
    if (!gmk_test_assert(r.ctx != NULL))
        return false;
    keys = gmk_chan_find(r.ctx, "cli.key");
    done = gmk_chan_find(r.ctx, "cli.done");
    gmk_test_assert_gt(keys, 0);
    gmk_test_assert_gt(done, 0);
    r.keys = (uint32_t)keys;
    r.done = (uint32_t)done;
    gmk_test_assert_eq(mon_type(r.ctx, r.keys, "", 0), GMK_OK);
    return idle();
}

static void end(void)
{
    gmk_test_assert_eq(gmk_host_detach(&r.host), GMK_OK);
    kit_halt(&r.kernel);
}

/* How often part stands in text. */
static uint32_t count(const char *text, const char *part)
{
    size_t n = mon_length(part);
    uint32_t k = 0;

    for (; *text != '\0'; text++) {
        size_t i = 0;

        while (i < n && text[i] == part[i])
            i++;
        k += i == n;
    }
    return k;
}

static bool says(const char *part)
{
    bool ok = gmk_test_assert_named(count(r.screen, part) != 0, part);

    if (!ok)
        gmk_test_print(r.screen);
    return ok;
}

/* The terminal. ----------------------------------------------------------------------------- */

/* BM-38. */
GMK_TEST(monitor_prompts_once_it_is_asked)
{
    GMK_REQUIRE(begin(&whole));
    gmk_test_assert_str_eq(r.screen, MON_PROMPT);
    type("");
    gmk_test_assert_str_eq(r.screen, "");
    end();
}

GMK_TEST(monitor_echoes_a_line_and_answers_below_it)
{
    GMK_REQUIRE(begin(&whole));
    type("heap\r");
    gmk_test_assert_str_eq(r.screen, "heap\n~heap\n~heap\n" MON_PROMPT);
    end();
}

/* An end of line is CR, LF, or both; an empty line only prompts. */
GMK_TEST(monitor_takes_any_end_of_line_as_one)
{
    static const char *const ends[] = {"heap\r", "heap\n", "heap\r\n"};

    GMK_REQUIRE(begin(&whole));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(ends); i++) {
        type(ends[i]);
        gmk_test_assert_str_eq(r.screen, "heap\n~heap\n~heap\n" MON_PROMPT);
    }
    type("\r\n\r\n\n\r");
    gmk_test_assert_str_eq(r.screen,
                           "\n" MON_PROMPT "\n" MON_PROMPT "\n" MON_PROMPT "\n" MON_PROMPT);
    type("   \r");
    gmk_test_assert_str_eq(r.screen, "   \n" MON_PROMPT);
    end();
}

GMK_TEST(monitor_edits_by_backspace_and_delete)
{
    GMK_REQUIRE(begin(&whole));
    type("heaq\bp\r");
    says("heaq\b \bp\n~heap\n");
    type("hex\x7f\x7f\x7f\x7f\x7fheap\r"); /* more of them than bytes: the prompt stands */
    says("hex\b \b\b \b\b \bheap\n~heap\n");
    end();
}

GMK_TEST(monitor_forgets_the_line_by_control_u_and_control_c)
{
    GMK_REQUIRE(begin(&whole));
    type("abc\x15heap\r");
    gmk_test_assert_str_eq(r.screen, "abc\b \b\b \b\b \bheap\n~heap\n~heap\n" MON_PROMPT);
    type("abc\x03heap\r");
    gmk_test_assert_str_eq(r.screen, "abc^C\n" MON_PROMPT "heap\n~heap\n~heap\n" MON_PROMPT);
    end();
}

/* Arrows and other keys of several bytes, and bytes that are no text. */
GMK_TEST(monitor_leaves_out_keys_without_meaning)
{
    GMK_REQUIRE(begin(&whole));
    type("he\x1b[A\x1b[1;5D\x1bOP\x1bx"
         "ap\r");
    gmk_test_assert_str_eq(r.screen, "heap\n~heap\n~heap\n" MON_PROMPT);
    type("\x01he\xc3\xa4"
         "ap\r");
    gmk_test_assert_str_eq(r.screen, "\ahe\a\aap\n~heap\n~heap\n" MON_PROMPT);
    type("\x1b\rheap\t\r"); /* an end of line ends a sequence, too; a tab is a space */
    gmk_test_assert_str_eq(r.screen, "\n" MON_PROMPT "heap \n~heap\n~heap\n" MON_PROMPT);
    end();
}

static void type_many(char c, uint32_t n)
{
    char text[2] = {c, '\0'};

    for (uint32_t i = 0; i < n; i++)
        type_only(text);
    idle();
}

GMK_TEST(monitor_refuses_a_line_that_is_too_long)
{
    GMK_REQUIRE(begin(&whole));
    type("");
    type_many('x', MON_LINE);
    gmk_test_assert_eq(count(r.screen, "\a"), 0);
    type_many('x', 3);
    gmk_test_assert_eq(count(r.screen, "\a"), 3);
    type("\r");
    gmk_test_assert_str_eq(r.screen, "\nerror: the line is longer than 120 bytes; it was not run: "
                                     "shorten it\n" MON_PROMPT);
    type_many('x', MON_LINE + 1);
    type("\x15heap\r"); /* what is erased is not too long */
    says("heap\n~heap\n");
    gmk_test_assert_eq(count(r.screen, "error"), 0);
    type_many(' ', MON_LINE - 4);
    type("heap\r"); /* one that just fits */
    says("~heap\n");
    end();
}

/* Dispatch. ------------------------------------------------------------------------------------ */

GMK_TEST(monitor_names_the_nearest_command)
{
    static const struct near {
        const char *typed, *say;
    } cases[] = {
        {"hepl\r", "there is no command 'hepl'; did you mean 'help'?"},
        {"blkraed 0\r", "did you mean 'blkread'?"},
        {"HELP\r", "there is no command 'HELP'; 'help' shows what there is"},
        {"metric\r", "did you mean 'metrics'?"},
        {"hal\r", "did you mean 'halt'?"},
        {"zzzzz\r", "'help' shows what there is"},
        {"x\r", "'help' shows what there is"},
        {"foo\r", "'help' shows what there is"},
        {"averyveryverylongname\r", "'help' shows what there is"},
        {"help hlat\r", "there is no command 'hlat'; did you mean 'halt'?"},
    };

    GMK_REQUIRE(begin(&whole));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        type(cases[i].typed);
        says("\nerror: ");
        says(cases[i].say);
        says("\n" MON_PROMPT);
    }
    end();
}

/* Each says what is wrong and what to do. */
GMK_TEST(monitor_refuses_wrong_arguments_of_each_kind)
{
    static const struct wrong {
        const char *typed, *say;
    } cases[] = {
        {"heap now\r", "error: heap: too many words; write: heap\n"},
        {"blkread\r", "error: blkread: too few words; write: blkread SECTOR [COUNT [DISK]]\n"},
        {"help a b\r", "error: help: too many words; write: help [COMMAND]\n"},
        {"help a b c d e f\r", "error: help: too many words; write: help [COMMAND]\n"},
        {"blkread abc\r", "'abc' is no number; write it as 27 or 0x1b"},
        {"blkread -1\r", "'-1' is no number"},
        {"blkread 0x\r", "'0x' is no number"},
        {"blkread 1f\r", "'1f' is no number"},
        {"blkread 18446744073709551616\r", "is no number"},
        {"blkread 18446744073709551615\r", "the disk ends before sector 100"},
        {"blkread 100\r", "the disk ends before sector 100; give a lower one"},
        {"blkread 98 3\r", "the disk ends before sector 100"},
        {"blkread 0 5\r", "5 is too large; give a number from 0 to 4"},
        {"blkread 0 0\r", "0 sectors are nothing to show; give 1 to 4"},
        {"blkread 0 1 sda\r", "there is no disk 'sda'; 'disk' lists those there are"},
        {"blkread 0 1 averyveryverylongname\r", "there is no disk 'averyveryverylongname'"},
        {"blkwrite 0 256\r", "256 is too large; give a number from 0 to 255"},
        {"blkwrite 0\r", "too few words; write: blkwrite SECTOR BYTE [DISK]"},
        {"blkcap sda\r", "there is no disk 'sda'"},
        {"trace 257\r", "257 is too large; give a number from 0 to 256"},
        {"trace 1 2\r", "2 is too large; give a number from 0 to 1"},
        {"level loud\r", "there is no level 'loud'; give off, error, warn, info or all"},
        {"level all nobody\r", "there is no module 'nobody'; 'mod' lists those there are"},
        {"chan none\r", "there is no channel 'none'; 'chan' lists those there are"},
        {"metrics zzz\r", "no counter begins with 'zzz'; try: metrics tasks"},
        {"panic now\r", "'now' is not the word that it wants; write: panic test"},
    };

    GMK_REQUIRE(begin(&whole));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        type(cases[i].typed);
        says("\nerror: ");
        says(cases[i].say);
        says("\n" MON_PROMPT);
    }
    gmk_test_assert(r.io == NULL);
    gmk_test_assert_eq(r.n_ends, 0);
    end();
}

GMK_TEST(monitor_help_shows_every_command)
{
    GMK_REQUIRE(begin(&whole));
    type("help\r");
    for (uint32_t i = 0; i < mon_n_commands; i++) {
        says(mon_commands[i].name);
        says(mon_commands[i].text);
    }
    gmk_test_assert_eq(count(r.screen, "\n"), mon_n_commands + 1);
    type("help level\r");
    gmk_test_assert_eq(count(r.screen, "\n"), 2);
    says("level    LEVEL [MODULE]");
    end();
}

/* BM-38: each command of the list answers, and as it should. */
GMK_TEST(monitor_every_command_answers)
{
    static const struct answer {
        const char *typed, *say;
    } cases[] = {
        {"ps\r", "runs   command"},
        {"ps\r", "~threads"},
        {"tasks\r", "monitor          command           209"},
        {"tasks\r", "ready 0 0 0 0 of"},
        {"chan\r", "cli.cmd          p2p    lossless  209    16"},
        {"chan\r", "cli.resp         fanout lossless  210    16"},
        {"chan\r", "sys.error        fanout lossy     241"},
        {"chan cli.cmd\r", "subscriber monitor: 0 waiting"},
        {"trace\r", "events since boot"},
        {"level info cli\r", "cli: info"},
        {"level warn\r", "all modules: warn"},
        {"mod\r", "monitor: command(209) done(211)"},
        {"mod\r", "cli: keys(208) answer(210) error(241) trace(242)"},
        {"metrics\r", "tasks.accepted"},
        {"metrics chan.d\r", "chan.drops                      0"},
        {"uptime\r", " 2 workers, GGMK " GMK_VERSION_TEXT},
        {"mem\r", "~memory"},
        {"mem\r", "blocks "},
        {"heap\r", "~heap"},
        {"map\r", "~map"},
        {"cpu\r", "~cpus"},
        {"pci\r", "~pci"},
        {"disk\r", "~disks"},
        {"blkcap\r", "100 sectors of 512 bytes, 50 KiB"},
        {"blkcap fake0\r", "100 sectors of 512 bytes"},
    };

    GMK_REQUIRE(begin(&whole));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        type(cases[i].typed);
        says(cases[i].say);
        gmk_test_assert_eq(count(r.screen, "error:"), 0);
        says("\n" MON_PROMPT);
    }
    end();
}

/* On a machine that has nothing to tell, the kernel's own commands answer, the others say so. */
GMK_TEST(monitor_refuses_what_the_machine_does_not_have)
{
    static const char *const lists[] = {"heap\r", "map\r", "cpu\r", "pci\r", "disk\r"};

    GMK_REQUIRE(begin(&bare));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(lists); i++) {
        type(lists[i]);
        says(": this machine tells nothing of it");
    }
    type("blkread 0\r");
    says("error: blkread: this machine has no disk; start it with one");
    type("blkcap\r");
    says("error: blkcap: this machine has no disk");
    type("ps\r");
    gmk_test_assert_eq(count(r.screen, "error"), 0);
    type("mem\r");
    gmk_test_assert_eq(count(r.screen, "error"), 0);
    end();
}

/* Answers. ----------------------------------------------------------------- */

/* Several pieces, in order, none lost. */
GMK_TEST(monitor_long_answer_comes_whole)
{
    uint32_t n = (uint32_t)gmk_test_scale(5000, 1500);

    GMK_REQUIRE(begin(&whole));
    r.n_lines = n;
    type("pci\r");
    gmk_test_assert_eq(count(r.screen, "~pci\n"), n);
    gmk_test_assert_eq(r.n, 4 + n * 5 + mon_length(MON_PROMPT));
    end();
}

/* Nothing hangs when memory is spent, and all is well when it is back. */
GMK_TEST(monitor_says_so_when_memory_is_spent)
{
    uint32_t n = 0;

    GMK_REQUIRE(begin(&whole));
    while (n < GMK_ARRAY_LEN(blocks) && (blocks[n] = gmk_alloc(r.ctx, MON_PIECE + 16)) != NULL)
        n++;
    GMK_REQUIRE(n > 0 && n < GMK_ARRAY_LEN(blocks));
    type("help\r");
    says("error: there is no memory for an answer");
    says("\n" MON_PROMPT);
    while (n-- != 0)
        gmk_free(r.ctx, blocks[n]);
    type("heap\r");
    says("~heap\n");
    end();
}

static gmk_task_t their_command(const char *line)
{
    gmk_task_t t = {.type = MON_TYPE_COMMAND, .flags = GMK_PRIO_NORMAL, .meta0 = OTHER_TAG};
    void *p = gmk_payload_alloc(r.ctx, (uint32_t)mon_length(line));

    gmk_hal_memcpy(p, line, mon_length(line));
    gmk_task_set_payload(&t, p);
    return t;
}

/* STD-26: any module may issue commands; it gets the answers, the terminal does not show them. */
GMK_TEST(monitor_serves_other_modules_by_their_tag)
{
    int cmd;
    gmk_task_t t;

    GMK_REQUIRE(begin(&whole));
    cmd = gmk_chan_find(r.ctx, "cli.cmd");
    GMK_REQUIRE(cmd > 0);
    type("");
    t = their_command("heap");
    gmk_test_assert_eq(gmk_chan_emit(r.ctx, (uint32_t)cmd, &t), GMK_OK);
    idle();
    gmk_test_assert_str_eq(r.answer, "~heap\n~heap\n");
    gmk_test_assert_eq(r.n_last, 1);
    gmk_test_assert_str_eq(r.screen, "");
    type("map\r");
    gmk_test_assert_eq(r.n_last, 1); /* nor are the terminal's answers theirs */
    says("~map\n");
    end();
}

/* A line of another issuer may be any bytes of any length. */
GMK_TEST(monitor_refuses_a_command_of_another_that_is_too_long)
{
    char line[MON_LINE + 2];
    int cmd;
    gmk_task_t t;

    GMK_REQUIRE(begin(&whole));
    cmd = gmk_chan_find(r.ctx, "cli.cmd");
    GMK_REQUIRE(cmd > 0);
    gmk_hal_memset(line, 'x', sizeof(line));
    line[MON_LINE + 1] = '\0';
    t = their_command(line);
    gmk_test_assert_eq(gmk_chan_emit(r.ctx, (uint32_t)cmd, &t), GMK_OK);
    t = (gmk_task_t){.type = MON_TYPE_COMMAND, .flags = GMK_PRIO_NORMAL, .meta0 = OTHER_TAG};
    gmk_test_assert_eq(gmk_chan_emit(r.ctx, (uint32_t)cmd, &t), GMK_OK); /* no line at all */
    idle();
    gmk_test_assert_str_eq(r.answer, "error: the line is longer than 120 bytes; shorten it\n");
    gmk_test_assert_eq(r.n_last, 2);
    end();
}

/* Transfers. --------------------------------------------------------------- */

static void finish_io(const char *wrong)
{
    mon_io_t *io = r.io;

    GMK_REQUIRE(io != NULL);
    r.io = NULL;
    io->wrong = wrong;
    gmk_test_assert_eq(mon_io_done(r.ctx, r.done), GMK_OK);
    idle();
}

GMK_TEST(monitor_shows_sectors_that_were_read)
{
    GMK_REQUIRE(begin(&whole));
    type("blkread 0x10 2 fake0\r");
    GMK_REQUIRE(r.io != NULL);
    gmk_test_assert_str_eq(r.io->disk, "fake0");
    gmk_test_assert(!r.io->write);
    gmk_test_assert_eq(r.io->sector, 16);
    gmk_test_assert_eq(r.io->n, 2);
    gmk_test_assert_eq((uintptr_t)r.io->buf % 64, 0);
    gmk_test_assert_eq(count(r.screen, MON_PROMPT), 0); /* not before the answer */
    gmk_hal_memset(r.io->buf, 0xff, 2 * MON_SECTOR);
    gmk_hal_memcpy(r.io->buf + 512, "GGMK\n", 5);
    finish_io(NULL);
    gmk_test_assert_eq(count(r.screen, "\n"), 1 + 2 * 32);
    says("00002000   ff ff");
    says("00002200   47 47 4d 4b 0a ff ff ff  ff ff ff ff ff ff ff ff  |GGMK............|\n");
    says("\n" MON_PROMPT);
    type("blkread 99\r"); /* the last one, of the first disk */
    gmk_test_assert_str_eq(r.io->disk, "");
    finish_io("the disk gave no answer");
    says("error: sector 99: the disk gave no answer; 'disk' shows how it fares\n" MON_PROMPT);
    end();
}

GMK_TEST(monitor_writes_only_when_it_was_allowed)
{
    GMK_REQUIRE(begin(&guarded));
    type("blkwrite 3 0x5a\r");
    says("error: blkwrite: disks are not written here; boot with the word `destructive`");
    gmk_test_assert(r.io == NULL);
    end();
    GMK_REQUIRE(begin(&whole));
    type("blkwrite 3 0x5a\r");
    GMK_REQUIRE(r.io != NULL);
    gmk_test_assert(r.io->write);
    gmk_test_assert_eq(r.io->sector, 3);
    gmk_test_assert_eq(r.io->n, 1);
    gmk_test_assert_eq(r.io->buf[0], 0x5a);
    gmk_test_assert_eq(r.io->buf[MON_SECTOR - 1], 0x5a);
    finish_io(NULL);
    says("sector 3: 512 bytes of 0x5a written and flushed\n" MON_PROMPT);
    end();
}

/* What is typed meanwhile is edited and run when the answer is there, in order. */
GMK_TEST(monitor_runs_what_was_typed_ahead_after_the_answer)
{
    GMK_REQUIRE(begin(&whole));
    type("blkread 0\rheap\rmap\r");
    gmk_test_assert_str_eq(r.screen, "blkread 0\n");
    finish_io("no");
    gmk_test_assert_str_eq(r.screen, "blkread 0\nerror: sector 0: no; 'disk' shows how it fares\n"
                                     "ggmk> heap\n~heap\n~heap\n"
                                     "ggmk> map\n~map\n~map\nggmk> ");
    end();
}

GMK_TEST(monitor_rings_when_too_much_is_typed_ahead)
{
    GMK_REQUIRE(begin(&whole));
    type("blkread 0\r");
    type("");
    type_many('x', MON_AHEAD);
    gmk_test_assert_str_eq(r.screen, "");
    type_many('x', 2);
    gmk_test_assert_str_eq(r.screen, "\a\a");
    type("\x03"); /* gives all of it up, the command too */
    gmk_test_assert_str_eq(r.screen, "^C\n" MON_PROMPT);
    finish_io(NULL);
    gmk_test_assert_str_eq(r.screen, "^C\n" MON_PROMPT); /* its late answer is not shown */
    type("heap\r");
    gmk_test_assert_str_eq(r.screen, "heap\n~heap\n~heap\n" MON_PROMPT);
    end();
}

GMK_TEST(monitor_refuses_a_second_transfer_and_ends_that_nobody_began)
{
    GMK_REQUIRE(begin(&whole));
    gmk_test_assert_eq(mon_io_done(r.ctx, r.done), GMK_OK);
    idle();
    gmk_test_assert_str_eq(r.screen, MON_PROMPT);
    type("blkread 0\r\x03"
         "blkwrite 1 1\r");
    says("error: blkwrite: another transfer is under way; try again when it has ended\n");
    gmk_test_assert_eq(r.io->sector, 0);
    gmk_test_assert(!r.io->write);
    finish_io(NULL);
    type("blkwrite 1 1\r");
    gmk_test_assert(r.io->write);
    finish_io(NULL);
    says("written and flushed\n" MON_PROMPT);
    end();
}

/* Notices and ends. -------------------------------------------------------- */

/* STD-26: a failure shows, and the line that is being typed again below it. */
GMK_TEST(monitor_shows_failures_and_the_line_again)
{
    GMK_REQUIRE(begin(&whole));
    type("hea");
    kit_submit(&r.kernel, kit_task(FAILS, GMK_PRIO_NORMAL, 0));
    idle();
    gmk_test_assert_str_eq(r.screen,
                           "hea\nsys.error: task type 1, channel 0: handler returned a failure "
                           "code (code 42)\n" MON_PROMPT "hea");
    type("p\r");
    gmk_test_assert_str_eq(r.screen, "p\n~heap\n~heap\n" MON_PROMPT);
    end();
}

/* STD-26: records of a peer, as payload of a message on sys.trace. */
GMK_TEST(monitor_shows_trace_records_of_a_peer)
{
    gmk_trace_ev_t ev[2] = {{.ev_type = GMK_EV_POISON, .type = 9, .arg0 = 9, .arg1 = 32},
                            {.ev_type = GMK_EV_TASK_FAIL, .type = 3, .arg0 = 1, .arg1 = 77}};
    gmk_task_t t = {.type = GMK_TYPE_SYS_TRACE, .flags = GMK_PRIO_NORMAL};
    void *p;

    GMK_REQUIRE(begin(&whole));
    p = gmk_payload_alloc(r.ctx, sizeof(ev));
    GMK_REQUIRE(p != NULL);
    gmk_hal_memcpy(p, ev, sizeof(ev));
    gmk_task_set_payload(&t, p);
    type("");
    gmk_test_assert_eq(gmk_chan_emit(r.ctx, GMK_CHAN_SYS_TRACE, &t), GMK_OK);
    idle();
    gmk_test_assert_str_eq(r.screen, "\nsys.trace: POISON type 9: 9 32\n"
                                     "sys.trace: TASK_FAIL type 3: 1 77\n" MON_PROMPT);
    end();
}

GMK_TEST(monitor_asks_for_the_end_and_says_no_more)
{
    static const struct ending {
        const char *typed, *say;
        enum mon_end how;
    } cases[] = {{"halt\r", "halt\nthe kernel ends\n", MON_HALT},
                 {"reboot\r", "reboot\nthe kernel ends, the machine starts anew\n", MON_REBOOT},
                 {"panic test\r", "panic test\na panic follows\n", MON_PANIC}};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        GMK_REQUIRE(begin(&whole));
        type(cases[i].typed);
        gmk_test_assert_str_eq(r.screen, cases[i].say);
        gmk_test_assert_eq(r.n_ends, 1);
        gmk_test_assert_eq(r.how, cases[i].how);
        type("heap\r"); /* nobody listens any more */
        gmk_test_assert_str_eq(r.screen, "");
        end();
    }
}

/* Traces. ------------------------------------------------------------------ */

GMK_TEST(monitor_trace_shows_the_last_events_of_a_worker)
{
#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return;
#endif
    GMK_REQUIRE(begin(&whole));
    type("level error\r");
    type("trace 256\r");
    for (uint32_t i = 0; i < 5; i++) {
        gmk_task_t t = kit_task(FAILS, GMK_PRIO_NORMAL, 0);

        gmk_test_assert_eq(gmk_submit_to(&r.kernel, &t, 1), GMK_OK);
    }
    idle();
    type("trace 3\r");
    gmk_test_assert_eq(count(r.screen, "TASK_FAIL"), 3);
    gmk_test_assert_eq(count(r.screen, " w1  TASK_FAIL            type 1, worker 1, seq "), 3);
    type("trace 20 1\r"); /* read once, they are kept */
    gmk_test_assert_eq(count(r.screen, " w1  TASK_FAIL"), 5);
    type("trace 20 0\r");
    gmk_test_assert_eq(count(r.screen, "TASK_FAIL"), 0);
    type("trace 0\r");
    gmk_test_assert_eq(count(r.screen, "\n"), 2);
    type("level off\r");
    type("level all cli\r"); /* its own steps, and nobody else's */
    type("trace 256\r");
    says("TASK_START           type 208, worker ");
    type("level info\r"); /* an argument without a name is left out */
    type("trace 256\r");
    says("WORKER_PARK          type 0, worker ");
    gmk_test_assert_eq(count(r.screen, ", 0 0"), 0);
    end();
}

/* More events than the monitor keeps: the newest are there. */
GMK_TEST(monitor_trace_keeps_the_newest_events)
{
#ifdef GMK_STRIP_TRACE
    gmk_test_skip("this build has no traces");
    return;
#endif
    gmk_trace_ev_t *last;

    GMK_REQUIRE(begin(&whole));
    type("level off\r");
    type("level all other\r");
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < 20; i++)
            kit_submit(&r.kernel, kit_task(FAILS, GMK_PRIO_NORMAL, 0));
        idle();
        type("trace 1\r");
        gmk_test_assert_eq(count(r.screen, "\n"), 3);
    }
    gmk_test_assert_gt(r.mon.exec.n_trace, MON_TRACE);
    last = &r.mon.exec.trace[(r.mon.exec.n_trace - 1) % MON_TRACE];
    for (uint32_t i = 0; i < MON_TRACE; i++)
        gmk_test_assert_le(r.mon.exec.trace[i].tsc, last->tsc);
    type("trace 256\r");
    gmk_test_assert_eq(count(r.screen, "\n"), 1 + MON_TRACE + 1);
    end();
}

/* Text. -------------------------------------------------------------------- */

static size_t format(char *to, size_t bytes, const char *f, ...)
{
    va_list args;
    size_t n;

    va_start(args, f);
    n = mon_format(to, bytes, f, args);
    va_end(args);
    return n;
}

GMK_TEST(monitor_formats_numbers_and_text_to_width)
{
    char t[64];

    gmk_test_assert_eq(format(t, sizeof(t), "%u|%5u|%-5u|%05u|%x", 7u, 7u, 7u, 7u, 0xbeefu), 24);
    gmk_test_assert_str_eq(t, "7|    7|7    |00007|beef");
    format(t, sizeof(t), "%lu %lx", UINT64_MAX, UINT64_MAX);
    gmk_test_assert_str_eq(t, "18446744073709551615 ffffffffffffffff");
    format(t, sizeof(t), "%5s|%-5s|%s|%c%%", "ab", "ab", NULL, '!');
    gmk_test_assert_str_eq(t, "   ab|ab   |-|!%");
    gmk_test_assert_eq(format(t, 4, "%s", "abcdef"), 3); /* cut, and ended */
    gmk_test_assert_str_eq(t, "abc");
}

GMK_TEST(monitor_type_refuses_more_than_a_message_holds)
{
    GMK_REQUIRE(begin(&whole));
    gmk_test_assert_eq(mon_type(r.ctx, r.keys, "0123456789abcdef", MON_TYPE_BYTES + 1),
                       GMK_E_INVALID);
    type("");
    gmk_test_assert_eq(mon_type(r.ctx, r.keys, "0123456789abcde", MON_TYPE_BYTES), GMK_OK);
    idle();
    gmk_test_assert_str_eq(r.screen, "0123456789abcde");
    end();
}
