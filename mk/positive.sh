#!/bin/sh
# SPDX-License-Identifier: MIT
# Refuses what must be a positive number and is none. usage: positive.sh NAME=VALUE...
for word; do
    case ${word#*=} in
    '' | 0* | *[!0-9]*)
        echo "${word%%=*} must be a positive number, not '${word#*=}'" >&2
        exit 2
        ;;
    esac
done
