#!/bin/sh
# SPDX-License-Identifier: MIT
cp a.XXXXXX "$HOME/home/b" # no mark, no machine path
