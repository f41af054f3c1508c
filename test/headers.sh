#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles every public header alone under every compiler present, from the source tree
# and from what `make install` stages; one real module; the prims as device code.
# usage: test/headers.sh (also make headers-check). Exit status: 0 when nothing failed;
# a compiler that is not here is a skip with its name. Source: ARCHITECTURE R1. Proves
# SYS-15 for the headers (gcc -ffreestanding) and, with the install, SYS-20.
cd "$(dirname "$0")/.." || exit 2

suite=headers
. test/lib.sh
warn='-Wall -Wextra -Werror -Wpointer-arith -Wundef'
warn_c="$warn -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpedantic"
tree_flags='-Iinclude -Ihal/common -Ihal/linux'

# The C, C++ and CUDA dialects of these floors are one; the others are hosted.
is_floor() {
    case $1 in
    ggmk/base/* | ggmk/prim/* | ggmk/task.h | ggmk/config.h | ggmk/error.h) return 0 ;;
    *) return 1 ;;
    esac
}

# wrapper HEADER: a source that has only this header, twice, so that the guard counts.
wrapper() {
    printf '#include "%s"\n#include "%s"\n' "$1" "$1" >"$tmp/one.c"
    printf 'extern int headers_one;\n' >>"$tmp/one.c"
    cp "$tmp/one.c" "$tmp/one.cpp"
    cp "$tmp/one.c" "$tmp/one.cu"
}

# The two port headers of an installed tree are halves of base/atomic.h and hal.h.
public_headers() {
    (cd "$1" && ls ./*.h ggmk/*.h ggmk/base/*.h ggmk/prim/*.h) | sed 's|^\./||' |
        grep -v -e '/atomic_port\.h$' -e '/hal_types\.h$'
}

# case_name HEADER: ggmk/prim/lq.h becomes prim_lq.
case_name() {
    echo "$1" | sed -e 's|^ggmk/||' -e 's|\.h$||' -e 's|[^A-Za-z0-9]|_|g'
}

# headers_alone PREFIX ROOT FLAGS: every header of a tree under every compiler.
# The flag lists are split on purpose.
# shellcheck disable=SC2086
headers_alone() {
    for h in $(public_headers "$2"); do
        wrapper "$h"
        n=$(case_name "$h")
        if [ -n "$gcc" ]; then
            check "${1}gcc_$n" gcc -std=c11 $warn_c -fsyntax-only $3 "$tmp/one.c"
            check "${1}freestanding_$n" gcc -std=c11 -ffreestanding $warn_c -fsyntax-only $3 \
                "$tmp/one.c"
        fi
        if [ -n "$gcc" ] && is_floor "$h"; then
            check "${1}nolibc_$n" gcc -std=c11 -ffreestanding -nostdinc -isystem "$gcc_include" \
                $warn_c -fsyntax-only $3 "$tmp/one.c"
        fi
        [ -z "$clang" ] || check "${1}clang_$n" clang -std=c11 $warn_c -fsyntax-only $3 "$tmp/one.c"
        [ -z "$gxx" ] || check "${1}gxx_$n" g++ -std=c++17 $warn -Wpedantic -fsyntax-only $3 \
            "$tmp/one.cpp"
        if [ -n "$nvcc" ] && is_floor "$h"; then
            check "${1}nvcc_$n" "$nvcc" -std=c++17 -Werror all-warnings -ptx $3 "$tmp/one.cu" \
                -o "$tmp/one.ptx"
        fi
    done
}

# module PREFIX FLAGS: the module, compiled to an object.
# shellcheck disable=SC2086
module() {
    src=test/headers_module.c
    [ -z "$gcc" ] || check "${1}gcc_module" gcc -std=c11 -O2 $warn_c $2 -c $src -o "$tmp/m.o"
    [ -z "$gcc" ] || check "${1}freestanding_module" gcc -std=c11 -O2 -ffreestanding $warn_c $2 \
        -c $src -o "$tmp/m.o"
    [ -z "$clang" ] || check "${1}clang_module" clang -std=c11 -O2 $warn_c $2 -c $src -o "$tmp/m.o"
    # Designated initialisers are C++20: C++17 compilers take them unless pedantic.
    [ -z "$gxx" ] || check "${1}gxx_module" g++ -x c++ -std=c++17 -O2 $warn \
        -Wno-missing-field-initializers $2 -c $src -o "$tmp/m.o"
}

# The main prim functions in a kernel, in both scopes. A local queue has one scope.
device_source() {
    cat <<'CU'
#include "ggmk/prim/bump.h"
#include "ggmk/prim/canon.h"
#include "ggmk/prim/cells.h"
#include "ggmk/prim/credit.h"
#include "ggmk/prim/heap.h"
#include "ggmk/prim/hist.h"
#include "ggmk/prim/lq.h"
#include "ggmk/prim/spsc.h"

struct bed {
    gmk_cell_t cells[64], more[64];
    gmk_mpmc_t mpmc;
    gmk_spsc_t spsc;
    gmk_credit_t credit;
    gmk_a64_t shown;
    gmk_bumpoff_t bump;
    gmk_lq_t lq;
    gmk_heap_t heap;
    gmk_heap_node_t nodes[64];
    gmk_hist_t hist;
    gmk_canon_node_t sorted[64];
    uint32_t cursor;
    uint64_t out;
};

template <int scope> static __device__ void shared_prims(bed *b)
{
    gmk_cell_t c[2] = {};
    uint32_t pos = 0;

    b->out += gmk_cells_push(&b->mpmc, b->cells, c, 2, scope);
    b->out += gmk_cells_pop(&b->mpmc, b->cells, c, 2, scope);
    b->out += gmk_cells_pop_sc(&b->mpmc, b->cells, c, 1, scope);
    b->out += gmk_mpmc_claim_sp(&b->mpmc, b->cells, GMK_CELL_STRIDE, 0, &pos, scope);
    b->out += gmk_mpmc_count(&b->mpmc, scope) + gmk_cells_ready(&b->mpmc, b->cells, scope);
    if (gmk_spsc_claim(&b->spsc, 1, &pos, scope) != 0)
        gmk_spsc_publish(&b->spsc, pos, 1, scope);
    if (gmk_spsc_take(&b->spsc, 1, &pos, scope) != 0)
        gmk_spsc_release(&b->spsc, pos, 1, scope);
    b->out += gmk_spsc_count(&b->spsc, scope);
    uint32_t readers;

    gmk_credit_join(&b->credit, 0, &b->shown, scope);
    if (gmk_credit_claim(&b->credit, 1, 0, &pos, &readers, scope) != 0)
        gmk_credit_publish(&b->credit, b->more, GMK_CELL_STRIDE, pos, 1, scope);
    b->cursor += gmk_credit_ready(b->more, 63, GMK_CELL_STRIDE, b->cursor, 8, scope);
    gmk_cursor_pass(&b->shown, b->cursor, scope);
    b->out += gmk_credit_leave(&b->credit, 1, scope) + gmk_cursor_skip(&b->shown, 1, 1, scope);
    b->out += gmk_credit_give(&b->credit, b->cursor + 64, scope);
    b->out += gmk_credit_room(&b->credit, scope) + gmk_credit_tail(&b->credit, scope);
    b->out += gmk_bumpoff_take(&b->bump, 48, 16, scope);
    b->out += gmk_bumpoff_used(&b->bump, scope) + gmk_bumpoff_high(&b->bump, scope);
    gmk_bumpoff_reset(&b->bump, scope);
}

__global__ void prims(bed *b)
{
    gmk_cell_t c = {};
    gmk_heap_node_t node = {};
    gmk_canon_key_t key = {};
    gmk_canon_event_t event = {};

    shared_prims<GMK_DEV>(b);
    shared_prims<GMK_SYS>(b);
    b->out += gmk_lq_push_newest(&b->lq, &c) + gmk_lq_push_oldest(&b->lq, &c);
    b->out += gmk_lq_take_newest(&b->lq) != NULL && gmk_lq_take_oldest(&b->lq) != NULL;
    b->out += gmk_lq_pop_oldest(&b->lq, &c);
    b->out += gmk_lq_move_oldest(&b->lq, &b->mpmc, b->more, 4);
    b->out += gmk_heap_push(&b->heap, b->nodes, 1, gmk_heap_order(2, 3), 4);
    b->out += gmk_heap_pop_min(&b->heap, b->nodes, &node) + node.value;
    gmk_hist_record(&b->hist, b->out);
    gmk_hist_merge(&b->hist, &b->hist);
    b->out += gmk_hist_percentile(&b->hist, 9900);
    gmk_canon_pack(&key, &b->sorted[0].hi, &b->sorted[0].lo);
    b->out += gmk_canon_cmp(&key, &key) + gmk_canon_sort(b->sorted)->hi;
    b->out += gmk_canon_hash_event(b->out, &event);
}
CU
}

find_compilers() {
    gcc=$(command -v gcc) || gcc=''
    clang=$(command -v clang) || clang=''
    gxx=$(command -v g++) || gxx=''
    nvcc=$(command -v nvcc) || nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
    [ -x "$nvcc" ] || nvcc=''
    [ -z "$gcc" ] || gcc_include=$(gcc -print-file-name=include)
    [ -n "$gcc" ] || skip gcc 'gcc not found'
    [ -n "$clang" ] || skip clang 'clang not found'
    [ -n "$gxx" ] || skip gxx 'g++ not found'
    [ -n "$nvcc" ] || skip nvcc 'nvcc not found'
    # nvcc needs a host compiler of its own; a tree without one cannot tell anything.
    if [ -n "$nvcc" ] && [ -z "$gxx" ]; then
        skip nvcc 'nvcc is here, its host compiler g++ is not'
        nvcc=''
    fi
}

find_compilers
headers_alone '' include "$tree_flags"
module '' "$tree_flags"
if [ -n "$nvcc" ]; then
    device_source >"$tmp/prims.cu"
    # shellcheck disable=SC2086
    check nvcc_device_prims "$nvcc" -std=c++17 -Werror all-warnings -c $tree_flags "$tmp/prims.cu" \
        -o "$tmp/prims.o"
fi

before=$failed
check install make -s install DESTDIR="$tmp/stage" PREFIX=/usr
if [ "$failed" -eq "$before" ]; then
    headers_alone staged_ "$tmp/stage/usr/include" "-I$tmp/stage/usr/include"
    module staged_ "-I$tmp/stage/usr/include"
else
    skip staged 'nothing was installed'
fi

closing
