/* SPDX-License-Identifier: MIT
 * COM1 by its own loop-back: what is put out is what comes in.
 * Floor: tests. Source: SPEC BM-9, BM-11; 16550 data sheet (modem control, bit 4). */
#include "arch/x86_64/serial/serial.h"
#include "machine_env.h"

#define MODEM 0x3fcu
#define LOOP 0x1eu
#define ON 0x0fu

/* At most 14 bytes of text out, then what came in; the port has room for 16. */
static size_t there_and_back(void (*put)(const char *), const char *text, char *back)
{
    size_t n = 0;
    int c;

    x86_out8(MODEM, LOOP);
    while (serial_getc() >= 0) /* what a terminal has sent */
        n++;
    n = 0;
    put(text);
    for (uint64_t end = clock_now_ns() + 20000000; clock_now_ns() < end;)
        if ((c = serial_getc()) >= 0 && n < 15)
            back[n++] = (char)c;
    back[n] = 0;
    x86_out8(MODEM, ON);
    return n;
}

static void put_first(const char *text) { serial_putc(text[0]); }

GMK_TEST(kernel_serial_bytes_and_texts_come_out_as_they_are)
{
    char back[16];

    gmk_test_assert_eq(there_and_back(put_first, "x", back), 1);
    gmk_test_assert_str_eq(back, "x");
    gmk_test_assert_eq(there_and_back(put_first, "\n", back), 2);
    gmk_test_assert_str_eq(back, "\r\n");
    gmk_test_assert_eq(there_and_back(serial_puts, "GGMK\n1", back), 7);
    gmk_test_assert_str_eq(back, "GGMK\r\n1");
    gmk_test_assert_eq(there_and_back(serial_puts, "", back), 0);
    gmk_test_assert(!serial_data_ready());
    gmk_test_assert_eq(serial_getc(), -1);
}
