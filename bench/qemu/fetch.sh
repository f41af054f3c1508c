#!/bin/sh
# SPDX-License-Identifier: MIT
# Downloads Debian's cloud kernel and unpacks it, not installed, into build/qemu-linux:
#   vmlinux   the kernel as an ELF, which QEMU loads by PVH as it does ours
#   modules/  its virtio modules, in the order of loading
#   version   of the package
# usage: bench/qemu/fetch.sh  (scripts/setup.sh --full calls it; no root is needed)
set -eu
cd "$(dirname "$0")/../.."
out=build/qemu-linux
meta=linux-image-cloud-amd64
if [ -s "$out/version" ] && [ -s "$out/vmlinux" ]; then
    echo "fetch: $(cat "$out/version") is there"
    exit 0
fi
for tool in apt-get dpkg-deb lz4 python3; do
    command -v "$tool" >/dev/null || {
        echo "fetch: $tool is missing: scripts/setup.sh --full installs it" >&2
        exit 1
    }
done
package=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
[ -n "$package" ] || {
    echo "fetch: apt does not know $meta" >&2
    exit 1
}
rm -rf "$out"
mkdir -p "$out/tree" "$out/modules"
# Root may write there where apt's own user may not.
sandbox=''
[ "$(id -u)" -ne 0 ] || sandbox='-o APT::Sandbox::User=root'
# Split on purpose.
# shellcheck disable=SC2086
(cd "$out" && apt-get -q $sandbox download "$package")
dpkg-deb -x "$out/$package"_*.deb "$out/tree"
python3 bench/qemu/payload.py "$out"/tree/boot/vmlinuz-* | lz4 -dcq - >"$out/vmlinux"
python3 bench/qemu/payload.py --check "$out/vmlinux"
n=0
for m in virtio/virtio_ring virtio/virtio virtio/virtio_pci_legacy_dev \
    virtio/virtio_pci_modern_dev virtio/virtio_pci block/virtio_blk; do
    n=$((n + 1))
    cp "$out"/tree/lib/modules/*/kernel/drivers/$m.ko "$out/modules/$n-${m##*/}.ko"
done
# The braces are dpkg's.
# shellcheck disable=SC2016
dpkg-deb -W --showformat='${Package} ${Version}\n' "$out/$package"_*.deb >"$out/version"
rm -rf "$out/tree"
echo "fetch: $(cat "$out/version"): $out/vmlinux"
