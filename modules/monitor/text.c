/* SPDX-License-Identifier: MIT
 * Text of the monitor: formatting, numbers, nearest names.
 * Floor: modules. Source: ISO C 7.21.6.1 for the letters; Wagner and Fischer 1974 for the
 * distance. */
#include "ggmk/base/bits.h"

#include "command.h"

#define DIGITS 20u
#define MAX_NAME 15u
#define NEAR 2u

typedef struct sink {
    char *to;
    size_t n, room;
} sink_t;

typedef struct field {
    uint32_t width;
    bool zero, left, wide;
} field_t;

bool mon_same(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

size_t mon_length(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0')
        n++;
    return n;
}

static void put(sink_t *o, char c)
{
    if (o->n < o->room)
        o->to[o->n++] = c;
}

static void put_field(sink_t *o, const char *text, size_t n, const field_t *f)
{
    size_t pad = n < f->width ? f->width - n : 0;

    for (size_t i = 0; !f->left && i < pad; i++)
        put(o, f->zero ? '0' : ' ');
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
    for (size_t i = 0; f->left && i < pad; i++)
        put(o, ' ');
}

static void put_number(sink_t *o, uint64_t v, uint32_t base, const field_t *f)
{
    char digits[DIGITS];
    uint32_t at = DIGITS;

    do {
        digits[--at] = "0123456789abcdef"[v % base];
    } while ((v /= base) != 0);
    put_field(o, digits + at, DIGITS - at, f);
}

static const char *parse(const char *p, field_t *f)
{
    *f = (field_t){.width = 0};
    for (; *p == '0' || *p == '-'; p++) {
        f->zero |= *p == '0';
        f->left |= *p == '-';
    }
    for (; *p >= '0' && *p <= '9'; p++)
        f->width = f->width * 10 + (uint32_t)(*p - '0');
    for (; *p == 'l'; p++)
        f->wide = true;
    return p;
}

size_t mon_format(char *to, size_t bytes, const char *format, va_list args)
{
    sink_t o = {.to = to, .room = bytes - 1};
    const char *text;
    field_t f;
    char c;

    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&o, *format);
            continue;
        }
        format = parse(format + 1, &f);
        if (*format == 's') {
            text = va_arg(args, const char *);
            text = text != NULL ? text : "-";
            put_field(&o, text, mon_length(text), &f);
        } else if (*format == 'c') {
            c = (char)va_arg(args, int);
            put_field(&o, &c, 1, &f);
        } else if (*format == 'u' || *format == 'x') {
            put_number(&o, f.wide ? va_arg(args, uint64_t) : va_arg(args, unsigned),
                       *format == 'u' ? 10 : 16, &f);
        } else {
            put(&o, *format);
        }
    }
    o.to[o.n] = '\0';
    return o.n;
}

static uint32_t digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : UINT32_MAX;
}

bool mon_number(mon_call_t *c, uint32_t i, uint64_t max, uint64_t *out)
{
    const char *p = c->word[i];
    uint32_t base = p[0] == '0' && p[1] == 'x' ? 16 : 10;
    uint64_t v = 0;
    bool ok;

    p += base == 16 ? 2 : 0;
    ok = *p != '\0';
    for (; ok && *p != '\0'; p++) {
        uint32_t d = digit(*p);

        ok = d < base && v <= (UINT64_MAX - d) / base;
        v = ok ? v * base + d : v;
    }
    if (ok && v <= max) {
        *out = v;
        return true;
    }
    if (ok)
        mon_refuse(c, "%s is too large; give a number from 0 to %lu", c->word[i], max);
    else
        mon_refuse(c, "'%s' is no number; write it as 27 or 0x1b", c->word[i]);
    return false;
}

/* Letters to put in, leave out, change or swap with the next to make b of a; both at most
 * MAX_NAME long. Row i of the table is that of the first i letters of a. */
static uint32_t distance(const char *a, const char *b)
{
    uint32_t d[MAX_NAME + 1][MAX_NAME + 1];
    uint32_t m = (uint32_t)mon_length(a), n = (uint32_t)mon_length(b);

    for (uint32_t i = 0; i <= m; i++)
        for (uint32_t j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = gmk_min32(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                                gmk_min32(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = gmk_min32(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

const char *mon_nearest(const char *wrong)
{
    uint32_t best = NEAR + 1;
    const char *name = NULL;

    for (uint32_t i = 0; i < mon_n_commands; i++) {
        const char *of = mon_commands[i].name;
        uint32_t d = mon_length(wrong) <= MAX_NAME ? distance(wrong, of) : NEAR + 1;

        if (d < best && 2 * d <= mon_length(of)) {
            best = d;
            name = of;
        }
    }
    return name;
}
