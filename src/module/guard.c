/* SPDX-License-Identifier: MIT
 * A module's function under the machine's fault guard.
 * Floor: F6. Source: SPEC FM-11, V-73. */
#include "module/module.h"

typedef struct call {
    gmk_handler_fn fn;
    gmk_ctx_t *ctx;
    int rc;
} call_t;

static void run(void *arg)
{
    call_t *c = arg;

    c->rc = c->fn(c->ctx);
}

uint32_t gmki_guard_call(gmki_agent_t *a, gmk_handler_fn fn, int *rc)
{
    call_t c = {.fn = fn, .ctx = &a->ctx};
    uint32_t fault = gmk_hal_guard_call(run, &c, &a->in_core);

    *rc = c.rc;
    return fault;
}

const char *gmki_fault_text(uint32_t fault)
{
    static const char *const texts[] = {
        [GMK_HAL_FAULT_NONE] = "no fault",
        [GMK_HAL_FAULT_MEMORY] = "bad memory access",
        [GMK_HAL_FAULT_ARITHMETIC] = "bad arithmetic, a division by zero for one",
        [GMK_HAL_FAULT_INSTRUCTION] = "bad instruction or trap",
        [GMK_HAL_FAULT_STACK] = "stack used up",
    };

    return fault < GMK_ARRAY_LEN(texts) ? texts[fault] : "unknown fault";
}
