/* SPDX-License-Identifier: MIT
 * Where the pipeline begins on a machine that calls main. */
#include "pipeline.h"

int main(int argc, char **argv) { return pl_main(argc, argv); }
