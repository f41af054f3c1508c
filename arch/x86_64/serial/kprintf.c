/* SPDX-License-Identifier: MIT
 * Formatted output.
 * Floor: arch. Source: SPEC BM-11; ISO C 7.21.6.1 for what the letters mean. */
#include "arch/x86_64/serial/kprintf.h"

#include "arch/x86_64/serial/serial.h"

#define LINE_BYTES 512u
#define DIGITS 20u

typedef struct out {
    char *to;
    size_t n, room;
} out_t;

typedef struct spec {
    uint32_t width;
    bool zero, left, wide; /* wide: 64 bits */
} spec_t;

static void put(out_t *o, char c)
{
    if (o->n < o->room)
        o->to[o->n++] = c;
}

static void put_padded(out_t *o, const char *text, size_t n, const spec_t *s)
{
    char fill = s->zero && !s->left ? '0' : ' ';
    size_t pad = n < s->width ? s->width - n : 0;

    if (fill == '0' && n != 0 && *text == '-') {
        put(o, *text++);
        n--;
    }
    for (size_t i = 0; !s->left && i < pad; i++)
        put(o, fill);
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
    for (size_t i = 0; s->left && i < pad; i++)
        put(o, ' ');
}

static void put_number(out_t *o, uint64_t v, bool minus, uint32_t base, const spec_t *s)
{
    char digits[DIGITS + 1];
    uint32_t at = sizeof(digits);

    do {
        uint32_t d = (uint32_t)(v % base);

        digits[--at] = (char)(d < 10 ? '0' + d : 'a' + d - 10);
    } while ((v /= base) != 0);
    if (minus)
        digits[--at] = '-';
    put_padded(o, digits + at, sizeof(digits) - at, s);
}

static void put_signed(out_t *o, int64_t v, const spec_t *s)
{
    put_number(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, 10, s);
}

static void put_text(out_t *o, const char *text, const spec_t *s)
{
    size_t n = 0;

    if (text == NULL)
        text = "(null)";
    while (text[n] != '\0')
        n++;
    put_padded(o, text, n, s);
}

static const char *parse(const char *f, spec_t *s)
{
    *s = (spec_t){.width = 0};
    for (; *f == '0' || *f == '-'; f++) {
        s->zero |= *f == '0';
        s->left |= *f == '-';
    }
    for (; *f >= '0' && *f <= '9'; f++)
        s->width = s->width * 10 + (uint32_t)(*f - '0');
    for (; *f == 'l' || *f == 'z'; f++)
        s->wide = true;
    return f;
}

size_t kvsnprintf(char *to, size_t n, const char *f, va_list args)
{
    out_t o = {.to = to, .room = n - 1};
    spec_t s;
    char c;

    for (; *f != '\0'; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        f = parse(f + 1, &s);
        switch (*f) {
        case 's':
            put_text(&o, va_arg(args, const char *), &s);
            break;
        case 'c':
            c = (char)va_arg(args, int);
            put_padded(&o, &c, 1, &s);
            break;
        case 'd':
        case 'i':
            put_signed(&o, s.wide ? va_arg(args, int64_t) : va_arg(args, int), &s);
            break;
        case 'u':
            put_number(&o, s.wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), false, 10, &s);
            break;
        case 'x':
        case 'X':
            put_number(&o, s.wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), false, 16, &s);
            break;
        case 'p':
            s = (spec_t){.width = 16, .zero = true};
            put_number(&o, (uintptr_t)va_arg(args, void *), false, 16, &s);
            break;
        case '\0':
            f--;
            break;
        default:
            put(&o, *f);
        }
    }
    o.to[o.n] = '\0';
    return o.n;
}

size_t ksnprintf(char *to, size_t n, const char *format, ...)
{
    va_list args;
    size_t done;

    va_start(args, format);
    done = kvsnprintf(to, n, format, args);
    va_end(args);
    return done;
}

void kvprintf(const char *format, va_list args)
{
    char line[LINE_BYTES];
    size_t n = kvsnprintf(line, sizeof(line), format, args);

    if (n == sizeof(line) - 1) {
        static const char cut[] = "...\n";

        for (size_t i = 0; i < sizeof(cut); i++)
            line[sizeof(line) - sizeof(cut) + i] = cut[i];
    }
    serial_write(line, n);
}

void kprintf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    kvprintf(format, args);
    va_end(args);
}
