# SPDX-License-Identifier: MIT
"""gdb commands that show a kernel: what its workers do, its threads and its channels.

  gdb build/gmk_kernel.elf -x tools/gdb/ggmk.py -ex 'target remote 127.0.0.1:1234'
  (gdb) ggmk workers      of each kernel: state, running handler, lengths of all queues
  (gdb) ggmk threads      of each processor: who runs, who is ready, who sleeps, who is parked
  (gdb) ggmk channels     of each kernel: slots, waiting messages, counts
  (gdb) ggmk all

They only read memory, so they may be used at any stop; what is half changed there shows so.
`ggmk workers` and `ggmk channels` also work on a hosted program. Source: SPEC BM-43."""
import gdb

FOREVER = (1 << 64) - 1
FANOUT, LOSSLESS = 2, 16
CURSOR_HELD = 1 << 63
THREAD_STATES = ('runs', 'ready', 'blocked', 'done')


class Missing(Exception):
    """This program has no such thing."""


def look(what):
    try:
        return gdb.parse_and_eval(what)
    except gdb.error as e:
        raise Missing(f'{what}: {e}') from e


def text(value):
    return value.string() if int(value) else '-'


def count(ring):
    """Of what lies in a ring of many producers."""
    return (int(ring['tail']) - int(ring['head'])) & 0xffffffff


def private(q):
    return (int(q['newest']) - int(q['oldest'])) & 0xffffffff


def table(rows):
    """Prints rows of the same length, the first one a head."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print('  '.join(str(x).rjust(w) if str(x)[:1].isdigit() else str(x).ljust(w)
                        for x, w in zip(row, widths)).rstrip())


def kernels():
    """Those that run, as the panic knows them."""
    words = look("'src/kernel/observe.c'::panic_kernels")
    first, last = words.type.range()
    kind = gdb.lookup_type('gmki_kernel_t').pointer()
    found = [words[i].cast(kind) for i in range(first, last + 1) if int(words[i])]
    if not found:
        print('no kernel runs: gmk_boot has not ended yet, or gmk_halt has begun')
    return found


def workers():
    for k in kernels():
        core, sched = k['core'], k['core']['sched']
        idle = int(sched['idle'])
        print(f"kernel {k}: ready {' '.join(str(count(sched['rq'][i]['ring'])) for i in range(4))}, "
              f"overflow {count(sched['overflow']['ring'])}, "
              f"timers {sched['evq']['cap'] - sched['evq']['n_free'] - sched['evq']['n_kept']}")
        rows = [('worker', 'state', 'module', 'handler', 'type', 'spawned', 'fifo', 'spilled',
                 'shared', 'inbox', 'heartbeat')]
        for i in range(int(sched['n_workers'])):
            q = sched['wq'][i]
            current = int(q['current'])
            h = core['mods']['handlers'][current - 1] if current else None
            state = 'parked' if idle >> i & 1 else 'running' if current else 'searching'
            module = h and core['mods']['mods'][int(h['module'])]
            rows.append((i, state, text(module['name']) if current else '-',
                         text(h['name']) if current else '-', int(h['type']) if current else '-',
                         private(q['stack']), private(q['fifo']), int(q['spill']['count']),
                         count(q['shared']['ring']), count(q['inbox']['ring']),
                         int(q['heartbeat'])))
        table(rows)


def tail(ring):
    limit, low = int(ring['limit']), int(ring['claim']) & 0xffffffff
    return limit - ((limit - low) & 0xffffffff)


def lag(chan):
    """Messages that its slowest subscriber has not begun."""
    kind = gdb.lookup_type('gmki_sub_t').pointer()
    subs = [chan['subs'][i].cast(kind) for i in range(32) if int(chan['taken']) >> i & 1]
    return max([tail(chan['ring']) - (int(s['cursor']) & ~CURSOR_HELD) for s in subs] or [0]), len(subs)


def channels():
    for k in kernels():
        reg = k['core']['chan']
        rows = [('id', 'name', 'kind', 'type', 'slots', 'waiting', 'emits', 'full', 'lost',
                 'subscribers')]
        for i in range(1, int(reg['n_chans']) + 1):
            c = reg['chans'][i]
            if not int(c) or int(c['state']) != 1:
                continue
            mode = int(c['mode'])
            kind = ('fanout ' if mode & FANOUT else 'p2p ') + \
                ('lossy' if mode & (FANOUT | LOSSLESS) == FANOUT else 'lossless')
            waiting, n = lag(c)
            rows.append((int(c['id']) & 0xffff, c['name'].string(), kind, int(c['msg_type']),
                         int(c['slots']), waiting, tail(c['ring']), int(c['fulls']),
                         int(c['drops']), n))
        print(f'kernel {k}:')
        table(rows)


def name_of(t):
    """What a thread runs: its function, or that it is idle."""
    if not int(t['fn']):
        return 'idle'
    symbol = gdb.block_for_pc(int(t['fn']))
    return str(symbol.function) if symbol and symbol.function else hex(int(t['fn']))


def chain(first, link):
    """A linked list of threads; one that loops, since it is half changed, ends."""
    seen, t = [], first
    while int(t) and int(t) not in seen:
        seen.append(int(t))
        yield t
        t = t[link]


def parked():
    """(thread, park) of all that wait for a wake-up."""
    buckets = look("'arch/x86_64/smp/thread.c'::buckets")
    first, last = buckets.type.range()
    for i in range(first, last + 1):
        for t in chain(buckets[i]['first'], 'parked_next'):
            yield t, int(t['parked_on'])


def threads():
    queues = look("'arch/x86_64/smp/thread.c'::runqs")
    cpus, waiting = look('x86_cpus'), list(parked())
    rows = [('cpu', 'thread', 'state', 'runs', 'waits on', 'due')]
    for i in range(int(look('x86_n_cpus'))):
        q, now = queues[i], cpus[i]['current']
        halts = ', halted' if int(q['idle']) else ''
        places = {int(t): hex(on) for t, on in waiting}
        mine = [(t, f"{THREAD_STATES[int(t['state'])]}{halts} (on the processor)",
                 places.get(int(t), '-')) for t in ([now] if int(now) else [])]
        mine += [(t, 'ready', '-') for t in chain(q['head'], 'next')]
        mine += [(t, 'parked', hex(on)) for t, on in waiting
                 if int(t['cpu']) == int(cpus[i].address) and int(t) != int(now)]
        known = {int(t) for t, _, _ in mine}
        mine += [(t, 'sleeps', '-') for t in chain(q['sleepers'], 'sleeper') if int(t) not in known]
        for t, state, on in mine:
            due = int(t['due_ns'])
            rows.append((i, hex(int(t)), state, name_of(t), on,
                         '-' if due == FOREVER else f'{due / 1e9:.6f} s'))
    table(rows)
    for i in range(int(look('x86_n_cpus'))):
        load = queues[i]['load']
        print(f"cpu {i}: {int(queues[i]['n_ready'])} ready, {int(queues[i]['n_started'])} threads, "
              f"{int(load['n_switches'])} switches, {int(load['n_halts'])} halts")


PARTS = {'workers': workers, 'threads': threads, 'channels': channels}


class Ggmk(gdb.Command):
    """ggmk workers | threads | channels | all: what the kernel does now."""

    def __init__(self):
        super().__init__('ggmk', gdb.COMMAND_STATUS)

    def complete(self, typed, _word):
        return [p for p in list(PARTS) + ['all'] if p.startswith(typed)]

    def invoke(self, argument, _from_tty):
        wanted = list(PARTS) if argument in ('', 'all') else [argument]
        if wanted[0] not in PARTS:
            raise gdb.GdbError(f"there is no 'ggmk {argument}'; write: {self.__doc__}")
        for part in wanted:
            try:
                PARTS[part]()
            except Missing as e:
                print(f'{part}: this program has none ({e})')


Ggmk()
