#!/bin/sh
# SPDX-License-Identifier: MIT
# What is built for the bare machine: the image as it stands in its file, the objects that both
# builds have, the words that make run and make run-debug give to QEMU.
# usage: test/image.sh KERNEL.elf KERNEL-LIB.a HOSTED-LIB.a CORE-OBJECTS HAL-OBJECTS FLAGS
# (by make image-check, which hands over what the build itself uses)
cd "$(dirname "$0")/.." || exit 2
[ $# -eq 6 ] || exit 2
kernel=$1 klib=$2 hlib=$3 core=$4 hal=$5 flags=$6
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
suite=image
. test/lib.sh

# has NAME TEXT FILE: the file has a line with it.
has() { verdict "$1" "$(grep -qE -- "$2" "$3" || echo "no '$2'")"; }

# at_least NAME FOUND WANTED
at_least() { verdict "$1" "$([ "$2" -ge "$3" ] || echo "$2, not $3 or more")"; }

# The words are split on purpose.
# shellcheck disable=SC2086
names() { printf '%s\n' $1 | sed 's|.*/||' | sort; }

# Objects. -----------------------------------------------------------------------------------
# ACC-26: each build's archive has the objects of one list, CORE_SRCS and the SDK, and beside
# them nothing but its own port's.
ar t "$klib" | sort >"$tmp/kernel"
ar t "$hlib" | sort >"$tmp/hosted"
names "$core" >"$tmp/core"
names "$core $hal" >"$tmp/core_and_hal"
at_least list_is_not_empty "$(wc -l <"$tmp/core")" 20
verdict kernel_has_the_core_objects "$(diff "$tmp/core" "$tmp/kernel")"
verdict hosted_has_the_core_objects "$(diff "$tmp/core_and_hal" "$tmp/hosted")"
# ACC-26, HAL-9: and no -D tells the core which of the two it is.
case $flags in
*' -DGMK_'*) verdict kernel_flags_define_nothing "$flags" ;;
*) verdict kernel_flags_define_nothing '' ;;
esac

# The kernel's file. -------------------------------------------------------------------------
readelf -hlW "$kernel" >"$tmp/elf"
nm "$kernel" >"$tmp/nm"
objdump -d --no-show-raw-insn "$kernel" >"$tmp/code"
# ACC-23, BM-1: a freestanding ELF for x86_64, which asks for nothing.
has is_a_static_elf64 '^ *Type: +EXEC' "$tmp/elf"
has is_for_x86_64 'Machine: +Advanced Micro Devices X86-64' "$tmp/elf"
verdict has_no_loader_of_its_own "$(grep -E 'INTERP|DYNAMIC' "$tmp/elf")"
verdict has_no_open_symbol "$(grep -E '^ +U ' "$tmp/nm")"
# BM-5: in the higher half.
has begins_in_the_higher_half '^ffffffff80000000 . __kernel_start$' "$tmp/nm"
verdict has_nothing_below "$(awk '/^ *LOAD/ && $3 < "0xffffffff80000000"' "$tmp/elf")"
# BM-3: _kstart is the entry; the requests stand between their marks; the header is in the tree.
entry=$(sed -n 's/^ *Entry point address: *0x//p' "$tmp/elf")
has kstart_is_the_entry "^$entry T _kstart\$" "$tmp/nm"
inside=$(awk '$3 == "limine_start" { a = $1 } $3 == "limine_end" { b = $1 }
    $3 ~ /_request$/ && $2 ~ /[dD]/ { at[$3] = $1 }
    END { for (n in at) k += a < at[n] && at[n] < b; print k + 0 }' "$tmp/nm")
at_least requests_stand_between_their_marks "$inside" 10
has has_the_protocol_header 'LIMINE_REQUESTS_START' arch/x86_64/limine/limine.h
# Rights: no segment may be written and executed.
verdict no_segment_is_both "$(awk '/^ *LOAD/ && / RWE /' "$tmp/elf")"

# BM-39: GCC's flags, and what came of them: no vector or floating-point register is touched.
for f in -std=c11 -ffreestanding -mno-red-zone -mgeneral-regs-only -mcmodel=kernel; do
    case " $flags " in
    *" $f "*) ;;
    *) verdict "flag_$f" 'is missing' ;;
    esac
done
verdict touches_no_vector_register "$(grep -E '%([xyz]mm|mm|st)[0-9(]' "$tmp/code" | head -n 3)"
# The machine. -------------------------------------------------------------------------------
# BM-41: 4 CPUs, 256 MB, a virtio disk of 2048 sectors or more, serial on standard I/O.
make -n run >"$tmp/run" 2>&1
has run_is_the_reference_machine '--cpus 4 --memory 256M --disk build/disk.img ' "$tmp/run"
has run_makes_a_disk_of_2048_sectors 'truncate -s .>1M.' "$tmp/run"
: >"$tmp/disk"
truncate -s 1M "$tmp/disk"
QEMU=true python3 tools/qemu.py --kernel "$kernel" --disk "$tmp/disk" --words >"$tmp/words" 2>&1
has disk_is_virtio_blk 'virtio-blk-pci' "$tmp/words"
has serial_is_standard_io 'stdio' "$tmp/words"
# BM-43: make run-debug waits for gdb.
make -n run-debug >"$tmp/run" 2>&1
has run_debug_waits '--debug' "$tmp/run"
QEMU=true python3 tools/qemu.py --kernel "$kernel" --debug --words >"$tmp/words" 2>&1
has run_debug_stops_at_the_first_instruction '(^| )-S( |$)' "$tmp/words"
has run_debug_has_a_socket_for_gdb '(-gdb|-s)( |$)' "$tmp/words"
# BM-40: the tools are what setup.sh installs.
sh scripts/setup.sh --list >"$tmp/setup"
for p in xorriso qemu-system-x86 ovmf gdb; do
    has "setup_has_$(echo $p | tr - _)" "^$p\$" "$tmp/setup"
done

closing
