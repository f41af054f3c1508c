# SPDX-License-Identifier: MIT
# make install DESTDIR= PREFIX=: headers, the linux port beside them, libraries,
# pkg-config.

PREFIX ?= /usr/local
DESTDIR ?=
INC := $(DESTDIR)$(PREFIX)/include
LIB := $(DESTDIR)$(PREFIX)/lib

install: lib
	install -d $(INC)/ggmk/base $(INC)/ggmk/prim $(LIB)/pkgconfig
	install -m 644 include/*.h $(INC)
	install -m 644 include/ggmk/*.h include/ggmk/*.def hal/linux/hal_types.h $(INC)/ggmk
	install -m 644 include/ggmk/base/*.h hal/common/atomic_port.h $(INC)/ggmk/base
	install -m 644 include/ggmk/prim/*.h $(INC)/ggmk/prim
	install -m 644 $(B)/linux/libgmk_cpu.a $(B)/linux/libgmk_test.a $(LIB)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|0.5.1|' mk/ggmk.pc.in > $(LIB)/pkgconfig/ggmk.pc

.PHONY: install
