/* SPDX-License-Identifier: MIT
 * Wiring: what boot refuses, each with a story of its own, and what it warns of.
 * Floor: tests. A failing init and its undoing are in test_module.c.
 * Source: SPEC MOD-9, MOD-10, CH-4, CH-14, CH-36, CH-37, DET-6, V-45, V-46, V-58;
 * ARCHITECTURE R6, R19. */
#include "kernel_env.h"

enum { T_ONE = 1, T_TWO, T_THREE };

static uint32_t n_runs;

static int on_any(gmk_ctx_t *ctx)
{
    (void)ctx;
    n_runs++; /* of one worker */
    return GMK_OK;
}

/* Where part begins in text, or null. */
static const char *find(const char *text, const char *part)
{
    for (;; text++) {
        size_t i = 0;

        while (part[i] != '\0' && text[i] == part[i])
            i++;
        if (part[i] == '\0')
            return text;
        if (*text == '\0')
            return NULL;
    }
}

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0')
        n++;
    return n;
}

static const gmk_boot_cfg_t small = {.arena_size = (size_t)1 << 20,
                                     .n_workers = 1,
                                     .flags = GMK_BOOT_NO_LINKED_MODULES,
                                     .rq_slots = 8,
                                     .evq_slots = 8,
                                     .overflow_slots = 8};

#define P2P GMK_CHAN_P2P
#define FANOUT GMK_CHAN_FANOUT
#define LOSSLESS GMK_CHAN_LOSSLESS
#define PARALLEL GMK_CHAN_PARALLEL
#define DETERMINISTIC GMK_CHAN_DETERMINISTIC
#define OUT GMK_CHAN_PRODUCE
#define IN GMK_CHAN_CONSUME

/* A handler, a declaration, their tables, a module. More fields may follow. */
#define H(t, ...) {.type = (t), .fn = on_any, __VA_ARGS__}
#define D(n, dir, t, ...) {.name = (n), .direction = (dir), .msg_type = (t), __VA_ARGS__}
#define HS(...)                                                                                    \
    .handlers = (gmk_handler_reg_t[]){__VA_ARGS__},                                                \
    .n_handlers = sizeof((gmk_handler_reg_t[]){__VA_ARGS__}) / sizeof(gmk_handler_reg_t)
#define DS(...)                                                                                    \
    .channels = (gmk_chan_decl_t[]){__VA_ARGS__},                                                  \
    .n_channels = sizeof((gmk_chan_decl_t[]){__VA_ARGS__}) / sizeof(gmk_chan_decl_t)
#define ANN(...) {.name = "ann", __VA_ARGS__}
#define BOB(...) {.name = "bob", __VA_ARGS__}
#define CAT(...) {.name = "cat", __VA_ARGS__}
#define SAYS(...) {__VA_ARGS__}

#define NAME_63 "n.345678901234567890123456789012345678901234567890123456789.123"
#define NAME_64 NAME_63 "4"

typedef struct wrong {
    gmk_module_t mods[3];
    const char *says[5]; /* all of it must be in the story: who, what, what to do */
} wrong_t;

/* A kernel boots, works and halts in the storage of one that was refused. */
static void works_again(gmk_kernel_t *k)
{
    gmk_module_t good = {.name = "good", HS(H(T_ONE))};
    gmk_module_t *list[] = {&good};
    gmk_task_t t = {.type = T_ONE};

    n_runs = 0;
    if (!gmk_test_assert_eq(gmk_boot(k, &small, list, 1), GMK_OK))
        return;
    gmk_test_assert_str_eq(gmk_boot_error(k), "");
    gmk_test_assert_eq(gmk_submit(k, &t), GMK_OK);
    kit_halt(k);
    gmk_test_assert_eq(n_runs, 1);
}

/* Boots the modules up to the first without a name and fields, and checks the refusal. */
static void refuse(const wrong_t *w, char *story)
{
    static gmk_kernel_t k;
    gmk_module_t mods[3];
    gmk_module_t *list[3];
    const char *error;
    uint32_t n = 1;

    for (uint32_t i = 0; i < 3; i++) {
        mods[i] = w->mods[i];
        list[i] = &mods[i];
        n = i > 0 && mods[i].name != NULL ? i + 1 : n;
    }
    gmk_test_assert_named(gmk_boot(&k, &small, list, n) == GMK_E_WIRING, w->says[0]);
    error = gmk_boot_error(&k);
    for (uint32_t i = 0; i < 5 && w->says[i] != NULL; i++)
        if (!gmk_test_assert_named(find(error, w->says[i]) != NULL, w->says[i])) {
            gmk_test_print(error);
            gmk_test_print("\n");
        }
    gmk_hal_memcpy(story, error, length(error) + 1);
    gmk_test_assert_str_eq(gmk_boot_warnings(&k), "");
    gmk_test_assert_eq(gmk_halt(&k), GMK_E_INVALID); /* nothing was left running */
    works_again(&k);
}

static void refuse_all(const wrong_t *w, uint32_t n)
{
    char (*stories)[GMKI_ERROR_BYTES] = gmk_hal_calloc(n, GMKI_ERROR_BYTES);

    GMK_REQUIRE(stories != NULL);
    for (uint32_t i = 0; i < n; i++) {
        refuse(&w[i], stories[i]);
        for (uint32_t j = 0; j < i; j++)
            gmk_test_assert_named(length(stories[i]) != length(stories[j]) ||
                                      find(stories[i], stories[j]) == NULL,
                                  stories[i]);
    }
    gmk_hal_free(stories);
}

#define ONE_DECL(...) {ANN(HS(H(T_ONE)), DS({__VA_ARGS__}))}
#define C(dir, t) .name = "c.x", .direction = (dir), .msg_type = (t)

/* Thirty and more, in one table, so that each story is compared with each. */
static const wrong_t wrongs[] = {
    /* Names. */
    {{{.name = NULL, HS(H(T_ONE))}}, SAYS("first module", "null name", "set .name")},
    {{{.name = "", HS(H(T_ONE))}}, SAYS("first module", "empty name", "name it")},
    {{ANN(HS(H(T_ONE))), {.name = ""}}, SAYS("module after 'ann'", "empty name", "name it")},
    {{{.name = NAME_64}}, SAYS("module 'n.34", "too long", "cut it")},
    {{{.name = "a b"}}, SAYS("module 'a b'", "blank", "use letters")},
    {{ANN(HS(H(T_ONE))), ANN(HS(H(T_TWO)))}, SAYS("'ann'", "twice", "rename")},
    {ONE_DECL(.direction = IN, .msg_type = T_ONE),
     SAYS("'ann'", "null name", "entry 0", "name it")},
    {{ANN(DS(D("c.x", OUT, 1), D("", OUT, 1)))}, SAYS("'ann'", "empty name", "entry 1", "name it")},
    {ONE_DECL(.name = NAME_64, .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'n.34", "too long", "63 characters")},
    {ONE_DECL(.name = "c.\n", .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'c.?'", "control character", "use letters")},
    {ONE_DECL(.name = "c..x", .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'c..x'", "empty part", "namespace.noun")},
    {ONE_DECL(.name = ".x", .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'.x'", "empty part", "namespace.noun")},
    {ONE_DECL(.name = "x.", .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'x.'", "empty part", "namespace.noun")},
    {ONE_DECL(.name = "sys.eror", .direction = OUT, .msg_type = 1),
     SAYS("'ann'", "'sys.eror'", "is the system's", "sys.error", "another namespace")},
    /* Tables and handlers. */
    {{ANN(.n_handlers = 1)}, SAYS("'ann'", "handlers", "no table", "set the pointer")},
    {{ANN(.n_channels = 1)}, SAYS("'ann'", "channels", "no table", "set the pointer")},
    {{ANN(HS({.type = 7}))}, SAYS("'ann'", "type 7", "null handler", "set .fn")},
    {{ANN(HS(H(0)))}, SAYS("'ann'", "type 0", "out of range", "1..239")},
    {{ANN(HS(H(256)))}, SAYS("'ann'", "type 256", "out of range", "1..239")},
    {{ANN(HS(H(240)))}, SAYS("'ann'", "type 240", "without consuming", "use 1..239")},
    {{ANN(HS(H(243)))}, SAYS("'ann'", "type 243", "without consuming", "use 1..239")},
    {{ANN(HS(H(4), H(5), H(4)))}, SAYS("'ann'", "type 4", "twice", "keep one")},
    {{ANN(HS(H(3, .flags = 0x80)))}, SAYS("'ann'", "type 3", "unknown flags", "use GMK_HF_")},
    {{ANN(HS(H(3, .flags = GMK_HF_WARP | GMK_HF_BLOCK)))},
     SAYS("'ann'", "type 3", "GMK_HF_WARP and GMK_HF_BLOCK", "keep the one")},
    {{ANN(HS(H(3, .flags = GMK_HF_NEEDS_SHARED)))},
     SAYS("'ann'", "type 3", "GMK_HF_NEEDS_SHARED", "set shared_bytes")},
    {{ANN(HS(H(5))), BOB(HS(H(5)))}, SAYS("'ann'", "'bob'", "type 5", "consume it")},
    /* One declaration. */
    {ONE_DECL(C(0, 1)), SAYS("'ann'", "'c.x'", "without a direction", "GMK_CHAN_PRODUCE")},
    {ONE_DECL(C(IN | P2P, 1)), SAYS("'ann'", "'c.x'", "unknown bits", ".mode")},
    {ONE_DECL(C(PARALLEL, 1), .mode = P2P),
     SAYS("'ann'", "'c.x'", "GMK_CHAN_PARALLEL without a direction", "add GMK_CHAN_CONSUME")},
    {ONE_DECL(C(OUT | PARALLEL, 1)), SAYS("'ann'", "'c.x'", "parallel producer", "drop it")},
    {ONE_DECL(C(IN, 1), .mode = 0x4000), SAYS("'ann'", "'c.x'", "unknown mode", "GMK_CHAN_P2P")},
    {ONE_DECL(C(IN, 1), .mode = P2P | FANOUT), SAYS("'ann'", "'c.x'", "at once", "keep one")},
    {ONE_DECL(C(IN, 1), .guarantee = 8), SAYS("'ann'", "'c.x'", "unknown guarantee", "_LOSSLESS")},
    {ONE_DECL(C(IN | PARALLEL, 1), .mode = DETERMINISTIC),
     SAYS("'ann'", "'c.x'", "deterministic", "drop GMK_CHAN_PARALLEL")},
    {ONE_DECL(C(IN, 1), .slots = (1u << 24) + 1), SAYS("'ann'", "'c.x'", "many slots", "16777216")},
    {ONE_DECL(C(IN, 1), .guarantee = LOSSLESS, .replay_slots = (1u << 24) + 1),
     SAYS("'ann'", "'c.x'", "many replay slots", "16777216")},
    {ONE_DECL(C(IN, 1), .replay_slots = 4), SAYS("'ann'", "'c.x'", "replay", ".guarantee")},
    {ONE_DECL(C(IN, 0)), SAYS("'ann'", "'c.x'", "type (0)", "1..239")},
    {ONE_DECL(C(IN, 256)), SAYS("'ann'", "'c.x'", "type out of range", "1..239")},
    {ONE_DECL(C(OUT, 241)), SAYS("'ann'", "'c.x'", "system message type", "use 1..239")},
    {ONE_DECL(.name = "c.w", .direction = IN, .msg_type = 241),
     SAYS("'ann'", "'c.w'", "system message type", "use 1..239")},
    {ONE_DECL(C(IN, 2)), SAYS("'ann'", "'c.x'", "no handler", "add one")},
    {{ANN(HS(H(1, .flags = GMK_HF_LANES)), DS({C(IN, 1), .mode = FANOUT | DETERMINISTIC}))},
     SAYS("'ann'", "'c.x'", "deterministic and its handler is not", "set GMK_HF_DETERMINISTIC")},
    /* System channels. */
    {ONE_DECL(.name = "sys.error", .direction = IN, .msg_type = 1),
     SAYS("'ann'", "'sys.error'", "consume it with its own", "241")},
    {ONE_DECL(.name = "sys.error", .direction = IN | OUT, .msg_type = 1),
     SAYS("'ann'", "'sys.error'", "split", "its own", "241")},
    {ONE_DECL(.name = "sys.error", .direction = OUT, .msg_type = 243),
     SAYS("'ann'", "'sys.error'", "produce it with its own", "241")},
    {ONE_DECL(.name = "sys.trace", .direction = OUT, .msg_type = 1),
     SAYS("'ann'", "'sys.trace'", "produce it with its own", "242")},
    {ONE_DECL(.name = "sys.heartbeat", .direction = OUT, .msg_type = 1),
     SAYS("'ann'", "'sys.heartbeat'", "produce it with its own", "244")},
    {ONE_DECL(.name = "sys.dropped", .direction = OUT, .msg_type = 240),
     SAYS("'ann'", "'sys.dropped'", "only the kernel produces", "consume it")},
    {ONE_DECL(.name = "sys.tick", .direction = OUT, .msg_type = 243),
     SAYS("'ann'", "'sys.tick'", "only the kernel produces", "consume it")},
    {ONE_DECL(.name = "sys.error", .direction = OUT, .msg_type = 1, .mode = P2P),
     SAYS("'ann'", "'sys.error'", "has its own", "leave .mode")},
    {ONE_DECL(.name = "sys.trace", .direction = OUT, .msg_type = 242, .guarantee = LOSSLESS),
     SAYS("'ann'", "'sys.trace'", "has its own", "leave .mode")},
    {ONE_DECL(.name = "sys.heartbeat", .direction = OUT, .msg_type = 244, .slots = 8),
     SAYS("'ann'", "'sys.heartbeat'", "has its own", ".slots")},
    /* Two modules, or one twice. The first declaration stands for the channel. */
    {{ANN(DS(D("c.t", OUT, 1))), BOB(HS(H(2)), DS(D("c.t", IN, 2)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.t'", "2 here, 1 there", "agree on one type")},
    {{ANN(DS(D("c.u", OUT, 1))), BOB(DS(D("c.u", OUT, 1))), CAT(DS(D("c.u", OUT, 3)))},
     SAYS("module 'cat'", "than module 'ann'", "'c.u'", "3 here, 1 there", "agree on one type")},
    {{ANN(DS(D("c.m", OUT, 1))), BOB(DS(D("c.m", OUT, 1, .mode = FANOUT)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.m'", "FANOUT here, P2P", ".mode")},
    {{ANN(DS(D("c.m", OUT, 1, .mode = FANOUT))), BOB(DS(D("c.m", OUT, 1, .mode = P2P)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.m'", "FANOUT there", ".mode")},
    {{ANN(DS(D("c.g", OUT, 1))), BOB(DS(D("c.g", OUT, 1, .guarantee = LOSSLESS)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.g'", "LOSSLESS here", ".guarantee")},
    {{ANN(DS(D("c.g", OUT, 1, .mode = LOSSLESS))), BOB(DS(D("c.g", OUT, 1)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.g'", "LOSSLESS there", ".guarantee")},
    {{ANN(DS(D("c.d", OUT, 1))), BOB(DS(D("c.d", OUT, 1, .mode = DETERMINISTIC)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.d'", "DETERMINISTIC here", "in both")},
    {{ANN(DS(D("c.d", OUT, 1, .mode = DETERMINISTIC))), BOB(DS(D("c.d", OUT, 1)))},
     SAYS("module 'bob'", "than module 'ann'", "'c.d'", "DETERMINISTIC there", "in both")},
    {{ANN(DS(D("c.c", OUT, 1))), BOB(HS(H(1)), DS(D("c.c", IN, 1))),
      CAT(HS(H(1)), DS(D("c.c", IN, 1)))},
     SAYS("module 'cat'", "so does module 'bob'", "'c.c'", "one consumer", "make it")},
    {{ANN(HS(H(1)), DS(D("c.2", IN, 1), D("c.2", IN, 1)))},
     SAYS("so does module 'ann'", "'c.2'", "another entry", "merge the two")},
    {{ANN(HS(H(1)), DS(D("c.f", IN, 1, .mode = FANOUT), D("c.f", IN, 1, .mode = FANOUT)))},
     SAYS("so does module 'ann'", "'c.f'", "another entry", "merge the two")},
    {{ANN(HS(H(241)), DS(D("sys.error", IN, 241), D("sys.error", IN | OUT, 241)))},
     SAYS("so does module 'ann'", "'sys.error'", "another entry", "merge the two")},
    {{ANN(HS(H(1)), DS(D("c.s", IN, 1), D("c.s", OUT, 3)))},
     SAYS("module 'ann'", "than module 'ann'", "'c.s'", "3 here, 1 there", "agree on one type")},
};

/* MOD-9, MOD-10, CH-4, CH-6, CH-9, CH-36, DET-6. */
GMK_TEST(wiring_wrong_declarations_have_a_story_each)
{
    gmk_test_assert_ge(GMK_ARRAY_LEN(wrongs), 30);
    refuse_all(wrongs, GMK_ARRAY_LEN(wrongs));
}

/* MOD-10. */
GMK_TEST(wiring_null_module_is_refused_by_its_place)
{
    static gmk_kernel_t k;
    gmk_module_t good = {.name = "good"};
    gmk_module_t *list[] = {&good, NULL};

    gmk_test_assert_eq(gmk_boot(&k, &small, list, 2), GMK_E_WIRING);
    gmk_test_assert(find(gmk_boot_error(&k), "after 'good' is a null pointer") != NULL);
    works_again(&k);
}

#define LONG(c) c "2345678901234567890123456789012345678901234567890123456789.123"

static const wrong_t twos[] = {
    {{{DS(D(NAME_63, OUT, 1))}, {DS(D(NAME_63, OUT, 239))}}, SAYS("one type")},
    {{{DS(D(NAME_63, OUT, 1))}, {DS(D(NAME_63, OUT, 1, .mode = DETERMINISTIC))}},
     SAYS("in both .mode or in none")},
    {{{HS(H(1)), DS(D(NAME_63, IN, 1))}, {HS(H(1)), DS(D(NAME_63, IN, 1))}},
     SAYS("or drop one consumer")},
    {{{HS(H(1)), DS(D(NAME_63, IN, 1), D(NAME_63, IN, 1))}}, SAYS("merge the two")},
    {{{HS(H(1)), DS(D(NAME_63, IN, 1, .mode = DETERMINISTIC))}},
     SAYS("or drop GMK_CHAN_DETERMINISTIC")},
    {{{HS(H(5))}, {HS(H(5))}}, SAYS("consume it from a channel")}};

/* MOD-9: the end of a story, what to do, is there with the longest names. */
GMK_TEST(wiring_stories_of_the_longest_names_are_whole)
{
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(twos); i++) {
        char story[GMKI_ERROR_BYTES];
        wrong_t w = twos[i];

        w.mods[0].name = LONG("a");
        w.mods[1].name = w.mods[1].n_handlers + w.mods[1].n_channels != 0 ? LONG("b") : NULL;
        refuse(&w, story);
        gmk_test_assert_lt(length(story), GMKI_ERROR_BYTES - 1);
        gmk_test_assert(find(story, LONG("a")) != NULL);
        gmk_test_assert_str_eq(find(story, w.says[0]), w.says[0]);
    }
}

/* Tables. -------------------------------------------------------------------------- */

static gmk_module_t many[GMK_MAX_MODULES];
static gmk_module_t *many_list[GMK_MAX_MODULES];
static char many_names[GMK_MAX_MODULES][4];

/* n modules m00, m01 and so on, each with the handlers and declarations of like. */
static void fill_many(uint32_t n, const gmk_module_t *like)
{
    for (uint32_t i = 0; i < n; i++) {
        many_names[i][0] = 'm';
        many_names[i][1] = (char)('0' + i / 10);
        many_names[i][2] = (char)('0' + i % 10);
        many[i] = *like;
        many[i].name = many_names[i];
        many_list[i] = &many[i];
    }
}

/* CH-10, MOD-10. */
GMK_TEST(wiring_fanout_takes_32_consumers_and_no_more)
{
    static gmk_kernel_t k;
    const gmk_module_t like = {HS(H(T_ONE)), DS(D("c.f", IN, T_ONE, .mode = FANOUT))};
    const gmk_module_t ticked = {HS(H(243)), DS(D("sys.tick", IN, 243))};
    const gmk_module_t *kinds[] = {&like, &ticked};

    for (uint32_t i = 0; i < 2; i++) {
        fill_many(GMK_MAX_CHAN_SUBS + 1, kinds[i]);
        gmk_test_assert_eq(gmk_boot(&k, &small, many_list, GMK_MAX_CHAN_SUBS + 1), GMK_E_LIMIT);
        gmk_test_assert(find(gmk_boot_error(&k), "module 'm32'") != NULL);
        gmk_test_assert(find(gmk_boot_error(&k), "'m00' and others: 32 are the most") != NULL);
        works_again(&k);
        if (kit_boot_mods(&k, &small, many_list, GMK_MAX_CHAN_SUBS))
            kit_halt(&k);
    }
}

/* V-46, MOD-10: what differs in letters alone is no error; nor are these. */
GMK_TEST(wiring_declarations_that_agree_are_taken)
{
    static gmk_kernel_t k;
    gmk_module_t mods[] = {
        ANN(DS(D("c.p", OUT, 1, .slots = 8), D("c.l", OUT, 2, .mode = LOSSLESS | P2P),
               D("c.d", OUT, 3, .mode = DETERMINISTIC), D("sys.error", OUT, 9),
               D("sys.error", OUT, 241), D("sys.trace", OUT, 242), D("sys.heartbeat", OUT, 244))),
        BOB(HS(H(1, .max_yields = GMK_YIELD_NEVER), H(2, .flags = GMK_HF_LANES),
               H(3, .flags = GMK_HF_DETERMINISTIC | GMK_HF_BLOCK),
               H(4, .flags = GMK_HF_NEEDS_SHARED, .shared_bytes = 1)),
            DS(D("c.p", IN | PARALLEL, 1, .mode = P2P, .slots = 4),
               D("c.l", IN, 2, .guarantee = LOSSLESS, .replay_slots = 4),
               D("c.d", IN, 3, .mode = DETERMINISTIC))),
        CAT(HS(H(243), H(240)),
            DS(D("sys.tick", IN, 243, .mode = FANOUT, .guarantee = LOSSLESS),
               D("sys.dropped", IN | PARALLEL, 240)))};
    gmk_module_t *list[] = {&mods[0], &mods[1], &mods[2]};
    gmk_chan_info_t info;

    GMK_REQUIRE(kit_boot_mods(&k, &small, list, 3));
    gmk_test_assert_str_eq(gmk_boot_warnings(&k), "");
    gmk_test_assert_eq(gmk_chan_get_info(&k, GMK_N_SYS_CHANNELS + 1, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, "c.p");
    gmk_test_assert_eq(info.slots, 8);
    gmk_test_assert_eq(gmk_chan_get_info(&k, GMK_N_SYS_CHANNELS + 2, &info), GMK_OK);
    gmk_test_assert_str_eq(info.name, "c.l");
    gmk_test_assert_eq(info.replay_slots, 4);
    gmk_test_assert_eq(info.n_subs, 1);
    kit_halt(&k);
}

/* Warnings. ------------------------------------------------------------------------ */

static void warns(gmk_module_t *mods, uint32_t n, const char *text)
{
    static gmk_kernel_t k;
    gmk_module_t *list[4] = {&mods[0], &mods[1], &mods[2], &mods[3]};

    GMK_REQUIRE(kit_boot_mods(&k, &small, list, n));
    gmk_test_assert_str_eq(gmk_boot_warnings(&k), text);
    kit_halt(&k);
    gmk_test_assert_str_eq(gmk_boot_warnings(&k), "");
}

#define NONE_PROCEEDS                                                                              \
    ": when all are full none proceeds: bound what is on its way, or make one of them a lossy "    \
    "fan-out channel"

/* CH-14: the price of a lossless fan-out is shown at boot. */
GMK_TEST(wiring_warns_of_lossless_fanout)
{
    gmk_module_t mods[4] = {
        ANN(DS(D("sim.tick", OUT, 1, .mode = FANOUT | LOSSLESS))),
        BOB(HS(H(1)), DS(D("sim.tick", IN, 1, .mode = FANOUT, .guarantee = LOSSLESS))),
        CAT(HS(H(1)), DS(D("sim.tick", IN, 1, .mode = FANOUT, .guarantee = LOSSLESS)))};

    warns(mods, 3,
          "channel 'sim.tick' is a lossless fan-out: a slow subscriber stalls producers: "
          "subscribers 'bob', 'cat'; producers 'ann': keep the subscribers' handlers short, or "
          "declare it GMK_CHAN_LOSSY");
}

/* CH-37, V-46: lossy fan-out with both ends is fine; loose ends and names are not. */
GMK_TEST(wiring_warns_of_loose_ends_and_short_names)
{
    gmk_module_t mods[4] = {
        ANN(DS(D("fine.lossy", OUT, 1, .mode = FANOUT), D("alone.p", OUT, 2),
               D("alone.f", OUT, 2, .mode = FANOUT))),
        BOB(HS(H(1), H(3)), DS(D("fine.lossy", IN, 1, .mode = FANOUT), D("fed", IN, 3))),
        CAT(DS(D("alone.p", OUT, 2)))};

    warns(mods, 3,
          "channel 'alone.p' is produced by 'ann', 'cat' and consumed by nobody, so it fills and "
          "refuses: declare its consumer\n"
          "channel 'alone.f' is produced by 'ann' and consumed by nobody, so nobody hears it: "
          "declare its consumer\n"
          "channel 'fed' is consumed by 'bob' and produced by no module: declare its producer, "
          "unless threads outside feed it\n"
          "channel 'fed' of module 'bob' has no dot in its name: write namespace.noun, names are "
          "global");
}

static int subscribe_late(gmk_ctx_t *ctx)
{
    int id = gmk_chan_find(ctx, "late.sub");

    return id > 0 ? gmk_chan_sub(ctx, (uint32_t)id) : id;
}

/* A subscription made by an init function counts. */
GMK_TEST(wiring_no_warning_of_a_consumer_that_came_in_init)
{
    gmk_module_t mods[4] = {ANN(DS(D("late.sub", OUT, 1))),
                            BOB(HS(H(1)), .init = subscribe_late)};

    warns(mods, 2, "");
}

/* R19. */
GMK_TEST(wiring_warns_of_cycles_whole)
{
    gmk_module_t ring[4] = {ANN(HS(H(3)), DS(D("a.b", OUT, 1), D("c.a", IN, 3))),
                            BOB(HS(H(1)), DS(D("a.b", IN, 1), D("b.c", OUT, 2))),
                            CAT(HS(H(2)), DS(D("b.c", IN, 2), D("c.a", OUT, 3)))};
    gmk_module_t self[4] = {ANN(HS(H(1)), DS(D("a.a", IN | OUT, 1)))};
    gmk_module_t pair[4] = {
        ANN(HS(H(2)), DS(D("a.b", OUT, 1, .mode = FANOUT | LOSSLESS), D("b.a", IN, 2))),
        BOB(HS(H(1)), DS(D("a.b", IN, 1, .mode = FANOUT | LOSSLESS), D("b.a", OUT, 2)))};
    gmk_module_t open[4] = {ANN(HS(H(2)), DS(D("a.b", OUT, 1, .mode = FANOUT), D("b.a", IN, 2))),
                            BOB(HS(H(1)), DS(D("a.b", IN, 1, .mode = FANOUT), D("b.a", OUT, 2)))};
    /* sys.error leads back to a module that reports its own failures: lossy, no cycle. */
    gmk_module_t errors[4] = {ANN(HS(H(241)), DS(D("sys.error", IN | OUT, 241)))};

    warns(ring, 3,
          "cycle of channels that never drop: ann -> a.b -> bob -> b.c -> cat -> c.a -> ann"
          NONE_PROCEEDS);
    warns(self, 1, "cycle of channels that never drop: ann -> a.a -> ann" NONE_PROCEEDS);
    warns(pair, 2,
          "cycle of channels that never drop: ann -> a.b -> bob -> b.a -> ann" NONE_PROCEEDS "\n"
          "channel 'a.b' is a lossless fan-out: a slow subscriber stalls producers: subscribers "
          "'bob'; producers 'ann': keep the subscribers' handlers short, or declare it "
          "GMK_CHAN_LOSSY");
    warns(open, 2, "");
    warns(errors, 1, "");
}

/* Random graphs. ------------------------------------------------------------------- */

enum { MAX_NODES = 12, MAX_EDGES = 24 };

typedef struct net {
    uint32_t n_nodes, n_edges;
    uint32_t consumers[MAX_EDGES], producers[MAX_EDGES]; /* a bit a node */
    uint32_t mode[MAX_EDGES];
    char names[MAX_EDGES][4]; /* "x.a" and so on */
    gmk_handler_reg_t handlers[MAX_NODES][MAX_EDGES];
    gmk_chan_decl_t decls[MAX_NODES][2 * MAX_EDGES];
} net_t;

static uint32_t below(uint64_t *rng, uint32_t n)
{
    return (uint32_t)(gmk_rand_next(rng) >> 33) % n;
}

static void declare(net_t *g, uint32_t node, uint32_t e, uint32_t direction)
{
    g->decls[node][many[node].n_channels++] = (gmk_chan_decl_t)
        D(g->names[e], direction, e + 1, .mode = g->mode[e], .slots = 2);
    if (direction == IN)
        g->handlers[node][many[node].n_handlers++] = (gmk_handler_reg_t)H(e + 1);
}

static void draw_net(net_t *g, uint64_t *rng)
{
    static const uint32_t modes[] = {P2P, P2P, FANOUT, FANOUT | LOSSLESS};

    gmk_hal_memset(g, 0, sizeof(*g));
    g->n_nodes = 1 + below(rng, MAX_NODES);
    g->n_edges = 1 + below(rng, 2 * g->n_nodes);
    fill_many(g->n_nodes, &(gmk_module_t){.name = NULL});
    for (uint32_t m = 0; m < g->n_nodes; m++) {
        many[m].channels = g->decls[m];
        many[m].handlers = g->handlers[m];
    }
    for (uint32_t e = 0; e < g->n_edges; e++) {
        uint32_t to = below(rng, g->n_nodes);

        g->mode[e] = modes[below(rng, 4)];
        g->names[e][0] = 'x';
        g->names[e][1] = '.';
        g->names[e][2] = (char)('a' + e);
        g->producers[e] = 1u << below(rng, g->n_nodes);
        g->consumers[e] = 1u << to;
        if (g->mode[e] & FANOUT) {
            g->consumers[e] |= 1u << below(rng, g->n_nodes);
            g->producers[e] |= 1u << below(rng, g->n_nodes);
        }
        for (uint32_t m = 0; m < g->n_nodes; m++) {
            if (g->producers[e] >> m & 1)
                declare(g, m, e, OUT);
            if (g->consumers[e] >> m & 1)
                declare(g, m, e, IN);
        }
    }
}

/* Which nodes are on a cycle, by closing the relation over all middle nodes. */
static uint32_t on_cycles(const net_t *g)
{
    bool reach[MAX_NODES][MAX_NODES] = {{false}};
    uint32_t set = 0;

    for (uint32_t e = 0; e < g->n_edges; e++)
        for (uint32_t i = 0; i < g->n_nodes * g->n_nodes; i++) {
            uint32_t a = i / g->n_nodes;
            uint32_t b = i % g->n_nodes;

            if (g->mode[e] != FANOUT && (g->producers[e] >> a & 1) && (g->consumers[e] >> b & 1))
                reach[a][b] = true;
        }
    for (uint32_t mid = 0; mid < g->n_nodes; mid++)
        for (uint32_t a = 0; a < g->n_nodes; a++)
            for (uint32_t b = 0; b < g->n_nodes; b++)
                reach[a][b] |= reach[a][mid] && reach[mid][b];
    for (uint32_t a = 0; a < g->n_nodes; a++)
        set |= (uint32_t)reach[a][a] << a;
    return set;
}

static uint32_t node_at(const char *s)
{
    return gmk_test_assert_eq(s[0], 'm') ? (uint32_t)((s[1] - '0') * 10 + (s[2] - '0')) : 0;
}

/* Walks "m00 -> x.a -> m01 -> ... -> m00:", each step an edge. returns: its nodes. */
static uint32_t walk(const net_t *g, const char *line)
{
    uint32_t first = node_at(line);
    uint32_t from = first;
    uint32_t set = 0;

    while (find(line, " -> x.") == line + 3) {
        uint32_t e = (uint32_t)(line[9] - 'a');
        uint32_t to = node_at(line + 14);

        gmk_test_assert(find(line, " -> m") == line + 10 && e < g->n_edges);
        gmk_test_assert(g->mode[e] != FANOUT);
        gmk_test_assert((g->producers[e] >> from & 1) && (g->consumers[e] >> to & 1));
        gmk_test_assert((set >> from & 1) == 0); /* no node twice */
        set |= 1u << from;
        from = to;
        line += 14;
    }
    gmk_test_assert_eq(line[3], ':');
    gmk_test_assert_eq(from, first);
    return set;
}

/* R19. */
GMK_TEST(wiring_cycles_of_random_graphs_as_a_naive_search_finds_them)
{
    static const char head[] = "cycle of channels that never drop: ";
    static gmk_kernel_t k;
    static net_t g;
    uint64_t rng = gmk_test_seed();
    uint32_t n_cyclic = 0;
    uint32_t n_rounds = (uint32_t)gmk_test_scale(400, 60);

    for (uint32_t round = 0; round < n_rounds; round++) {
        uint32_t named = 0;
        const char *at;

        draw_net(&g, &rng);
        GMK_REQUIRE(kit_boot_mods(&k, &small, many_list, g.n_nodes));
        at = find(gmk_boot_warnings(&k), head);
        for (; at != NULL; at = find(at + 1, head)) {
            uint32_t set = walk(&g, at + sizeof(head) - 1);

            gmk_test_assert_ne(set & ~named, 0); /* each line says something new */
            named |= set;
        }
        gmk_test_assert_eq(named, on_cycles(&g));
        n_cyclic += named != 0;
        kit_halt(&k);
    }
    gmk_test_assert_gt(n_cyclic, n_rounds / 10); /* both kinds have been seen */
    gmk_test_assert_lt(n_cyclic, n_rounds);
}

/* What has no room is counted, and no line is cut in two. */
GMK_TEST(wiring_warnings_without_room_are_counted)
{
    enum { N = GMK_MAX_CHANNELS - GMK_N_SYS_CHANNELS };
    static gmk_kernel_t k;
    static char names[N][GMK_MAX_CHAN_NAME];
    static gmk_chan_decl_t decls[N];
    gmk_module_t m = {.name = "wide", .channels = decls, .n_channels = N};
    uint32_t n_lines = 1;
    uint32_t n_cut = 0;
    const char *text, *tail;

    for (uint32_t i = 0; i < N; i++) {
        gmk_hal_memset(names[i], 'n', GMK_MAX_CHAN_NAME - 1);
        names[i][0] = (char)('a' + i % 16);
        names[i][1] = (char)('a' + i / 16);
        decls[i] = (gmk_chan_decl_t)D(names[i], OUT, 1, .mode = FANOUT, .slots = 2);
    }
    GMK_REQUIRE(kit_boot(&k, &small, &m));
    text = gmk_boot_warnings(&k);
    gmk_test_assert_lt(length(text), GMKI_WARN_BYTES);
    for (const char *c = text; *c != '\0'; c++) {
        n_lines += *c == '\n';
        if (*c == '\n' && c[1] == 'c')
            gmk_test_assert(find(c - 20, "clare its consumer\n") != NULL);
    }
    tail = find(text, "warnings left out for want of room: ");
    GMK_REQUIRE(tail != NULL && tail[-1] == '\n');
    for (tail += 36; *tail != '\0'; tail++)
        n_cut = n_cut * 10 + (uint32_t)(*tail - '0');
    /* Each channel has two: nobody consumes it, and its name has no dot. */
    gmk_test_assert_eq(n_lines - 1 + n_cut, 2 * N);
    gmk_test_assert_gt(n_lines, 20);
    kit_halt(&k);
    gmk_test_assert_str_eq(gmk_boot_warnings(NULL), "");
}
