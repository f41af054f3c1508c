/* SPDX-License-Identifier: MIT
 * A test that sleeps. */
void wait(void) { usleep(10); }
