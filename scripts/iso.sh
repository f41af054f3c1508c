#!/bin/sh
# SPDX-License-Identifier: MIT
# A CD image that boots a kernel under BIOS and UEFI.
# usage: iso.sh OUT KERNEL SHIM [COMMAND LINE]
# GRUB loads the shim, and the kernel as its module. With LIMINE_DIR set, the Limine loader in
# that folder (or its bin/) loads the kernel itself.
set -eu

die() { echo "iso: $1; $2" >&2; exit 1; }
need() { command -v "$1" > /dev/null || die "there is no $1" "install the package $2"; }

out=$1 kernel=$2 shim=$3 cmdline=${4:-}
case $cmdline in
*[!A-Za-z0-9=,._:/+@%\ -]*) die "the command line has a character that boot loaders change" \
  "use letters, digits and = , . _ : / + @ % - only" ;;
esac
[ -f "$kernel" ] || die "there is no kernel $kernel" "build it: make kernel"
need xorriso xorriso
tree=$out.d
rm -rf "$tree"
mkdir -p "$tree/boot/grub"
trap 'rm -rf "$tree"' EXIT
cp "$kernel" "$tree/boot/gmk_kernel.elf"

with_grub() {
    need grub-mkrescue grub-common
    need mformat mtools
    for p in i386-pc:grub-pc-bin x86_64-efi:grub-efi-amd64-bin; do
        [ -d "${GRUB_LIB:-/usr/lib/grub}/${p%%:*}" ] ||
            die "GRUB has no modules for ${p%%:*}" "install the package ${p#*:}"
    done
    [ -f "$shim" ] || die "there is no loader shim $shim" "build it: make kernel"
    cp "$shim" "$tree/boot/gmk_shim.elf"
    cat > "$tree/boot/grub/grub.cfg" << CFG
set timeout=0
set gfxpayload=text
multiboot2 /boot/gmk_shim.elf
module2 /boot/gmk_kernel.elf $cmdline
boot
CFG
    grub-mkrescue --fonts= --locales= --themes= -o "$out" "$tree" > "$out.log" 2>&1 || {
        cat "$out.log" >&2
        die "grub-mkrescue failed" "its own words stand above"
    }
    rm -f "$out.log"
}

# Sets `found` to a file of the Limine release, wherever a release or a build has it.
limine_file() {
    for found in "$LIMINE_DIR/$1" "$LIMINE_DIR/bin/$1"; do
        [ ! -f "$found" ] || return 0
    done
    return 1
}

need_limine_file() {
    limine_file "$1" || die "LIMINE_DIR=$LIMINE_DIR has no $1" "$2"
}

with_limine() {
    [ -d "$LIMINE_DIR" ] || die "LIMINE_DIR=$LIMINE_DIR is no folder" \
        "name the folder of a Limine 8 release or build"
    rm -r "$tree/boot/grub"
    mkdir -p "$tree/boot/limine" "$tree/EFI/BOOT"
    for f in limine-bios.sys limine-bios-cd.bin; do
        need_limine_file $f "build Limine with --enable-bios --enable-bios-cd"
        cp "$found" "$tree/boot/limine/$f"
    done
    efi='--efi-boot boot/limine/limine-uefi-cd.bin -efi-boot-part --efi-boot-image'
    if limine_file limine-uefi-cd.bin || limine_file BOOTX64.EFI; then
        need_limine_file limine-uefi-cd.bin "build Limine with --enable-uefi-cd"
        cp "$found" "$tree/boot/limine/limine-uefi-cd.bin"
        need_limine_file BOOTX64.EFI "build Limine with --enable-uefi-x86-64"
        cp "$found" "$tree/EFI/BOOT/BOOTX64.EFI"
    else
        efi=''
        echo "iso: LIMINE_DIR has no limine-uefi-cd.bin and BOOTX64.EFI; the image boots by BIOS only"
    fi
    need_limine_file limine "build the limine tool (make in its folder)"
    limine=$found
    [ -x "$limine" ] || die "$limine cannot be run" "build the limine tool for this machine"
    sed "s|@CMDLINE@|$cmdline|" arch/x86_64/boot/limine.conf > "$tree/boot/limine/limine.conf"
    xorriso -as mkisofs -R -r -J -b boot/limine/limine-bios-cd.bin -no-emul-boot \
        -boot-load-size 4 -boot-info-table -apm-block-size 2048 $efi \
        --protective-msdos-label "$tree" -o "$out" > "$out.log" 2>&1 || {
        cat "$out.log" >&2
        die "xorriso failed" "its own words stand above"
    }
    "$limine" bios-install "$out" > "$out.log" 2>&1 || {
        cat "$out.log" >&2
        die "limine bios-install failed" "its own words stand above"
    }
    rm -f "$out.log"
}

if [ -n "${LIMINE_DIR:-}" ]; then with_limine; else with_grub; fi
echo "iso: $out"
