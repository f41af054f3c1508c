#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds and runs the fuzz targets, test/fuzz/fuzz_<name>.c, under libFuzzer with ASan and
UBSan.

usage: run.py [--seconds S] [--seed N] [TARGET...]   each target for S seconds (60)
       run.py --check [TARGET...]   what `make check` runs: the corpus again, a short run with
                                    a fixed seed, and planted bugs, which must be found

What a run found is kept in build/fuzz/corpus/TARGET and used by the next. A crash leaves its
input in build/fuzz/crash/ and the command that runs it again. Planted bugs are files
test/fuzz/plants/NAME.plant: the source that changes, the target that must find it, in how many
runs of one of a few seeds, the text that goes and the text that comes.
Prints a line a target and "N passed, N failed, N skipped".
"""
import argparse
import ctypes
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import seeds  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join('build', 'fuzz')
CC = 'clang'
INSTRUMENT = ('-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all '
              '-fno-omit-frame-pointer')
LINK = '-fsanitize=fuzzer'
LIBC = ctypes.CDLL(None)
ADDR_NO_RANDOMIZE = 0x40000
SEEDS = 8  # of a planted bug: what one run finds by luck, one of them finds
# Of each target: its port, the longest input, and the runs of a check (a few seconds).
TARGETS = {
    'prim': ('linux', 1024, 20000),
    'virtio': ('linux', 512, 6000),
    'nvme': ('linux', 512, 6000),
    'record': ('linux', 4096, 8000),
    'api': ('sim', 1024, 300),
    'boot': ('sim', 512, 150),
    'replay': ('sim', 4096, 60),
    'pipeline': ('sim', 4096, 50),
    'shim': ('linux', 4096, 20000),
}
# What a target links beside the library.
LIBRARIES = {'virtio': ('libgmk_drivers.a',), 'nvme': ('libgmk_drivers.a',),
             'shim': ('libgmk_shim.a',)}
# A switch between fibers is no leak of a stack; what memory is refused is the kernel's answer.
ASAN = 'allocator_may_return_null=1:detect_stack_use_after_return=0:handle_abort=1'
ENV = {k: v for k, v in os.environ.items() if not k.startswith('MAKE') and
       k not in ('MFLAGS', 'CC', 'SAN', 'DEBUG', 'STRIP_TRACE', 'CFLAGS', 'V', 'FUZZ_TALK')}
ENV['ASAN_OPTIONS'] = ASAN


def program(name):
    return os.path.join(OUT, TARGETS[name][0], 'fuzz', 'fuzz_' + name)


def has_fuzzer():
    """Whether the compiler is there and links a fuzzer; else why not."""
    if shutil.which(CC) is None:
        return 'there is no ' + CC
    source = 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n);\n' \
             'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n)' \
             '{ return p != 0 && n == 77777; }\n'
    made = subprocess.run([CC, '-fsanitize=fuzzer,address,undefined', '-xc', '-', '-o',
                           os.path.join(OUT, 'probe')], input=source, cwd=ROOT, text=True,
                          capture_output=True)
    return '' if made.returncode == 0 else CC + ' has no libFuzzer (libclang-rt-dev)'


def make(names):
    done = subprocess.run(['make', '--no-print-directory', '-j2', 'CC=' + CC, 'B=' + OUT, 'OPT=-O1',
                           'CFLAGS=' + INSTRUMENT, 'FUZZ_LINK=' + LINK]
                          + [program(n) for n in names], cwd=ROOT, env=ENV, text=True,
                          capture_output=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def fixed_addresses():
    """libFuzzer hashes addresses: where these stay a seed means nearly the same run each time.
    A machine that refuses this runs all the same."""
    LIBC.personality(ADDR_NO_RANDOMIZE)


def fuzz(name, arguments, exe=None, crash=None):
    """Runs a fuzzer. returns: (found something, what it printed)"""
    crash = crash or os.path.join(OUT, 'crash', name + '-')
    os.makedirs(os.path.join(ROOT, os.path.dirname(crash)), exist_ok=True)
    done = subprocess.run([exe or program(name), '-timeout=25', '-rss_limit_mb=3000',
                           '-print_final_stats=1', '-len_control=0', f'-max_len={TARGETS[name][1]}',
                           '-artifact_prefix=' + crash] + arguments,
                          cwd=ROOT, env=ENV, text=True, errors='replace', capture_output=True,
                          preexec_fn=fixed_addresses)
    return done.returncode != 0, done.stdout + done.stderr


def number(text, what):
    found = re.findall(what, text)
    return found[-1] if found else '?'


def story(name, text):
    """The lines of a failure that say most, and how to see it again."""
    for line in text.splitlines():
        if re.search(r'broken:|gave -?\d|runtime error|ERROR: |SUMMARY|simulated machine|^sim:|'
                     r'panic|^    #[0-9] ', line):
            print('    ' + line.strip())
    kept = re.search(r'Test unit written to (\S+)', text)
    if kept:
        print(f'    again: FUZZ_TALK=1 ASAN_OPTIONS={ASAN} {program(name)} {kept.group(1)}')
    else:
        print('\n'.join('    ' + line for line in text.splitlines()[-20:]))


def folders(name):
    """The growing corpus first, then what is committed and what the script makes."""
    corpus = os.path.join(OUT, 'corpus', name)
    made = os.path.join(OUT, 'seeds', name)
    os.makedirs(os.path.join(ROOT, corpus), exist_ok=True)
    seeds.write(name, os.path.join(ROOT, made))
    kept = os.path.join('test', 'fuzz', 'corpus', name)
    return [corpus] + [d for d in (made, kept) if os.path.isdir(os.path.join(ROOT, d))]


def from_seeds(name):
    """The same, with an empty folder for what is found: the first one named grows."""
    scratch = os.path.join(OUT, 'scratch', name)
    shutil.rmtree(os.path.join(ROOT, scratch), ignore_errors=True)
    os.makedirs(os.path.join(ROOT, scratch))
    return [scratch] + folders(name)[1:]


def run_target(name, options):
    if options.check:
        # From nothing but the seeds, so that the run is the same everywhere.
        steps = [folders(name)[1:] + ['-runs=0'],
                 from_seeds(name) + [f'-runs={TARGETS[name][2]}', '-seed=1']]
    else:
        steps = [folders(name) + [f'-max_total_time={options.seconds}']
                 + ([f'-seed={options.seed}'] if options.seed else [])]
    if options.check and not folders(name)[1:]:
        steps = [[f'-runs={TARGETS[name][2]}', '-seed=1']]
    for arguments in steps:
        bad, text = fuzz(name, arguments)
        if bad:
            print(f'[FAIL] fuzz_{name}')
            story(name, text)
            return False
    runs = number(text, r'number_of_executed_units: (\d+)')
    cover = number(text, r'cov: (\d+) ')
    size = number(text, r'corp: (\d+)/')
    print(f'[PASS] fuzz_{name}: {runs} runs, {cover} edges, {size} inputs', flush=True)
    return True


# Planted bugs. --------------------------------------------------------------------------

def read_plant(name):
    with open(os.path.join(HERE, 'plants', name + '.plant'), encoding='utf-8') as f:
        head, old, new = f.read().split('---\n')
    return dict(line.split(': ', 1) for line in head.splitlines() if ': ' in line), old, new


def build_plant(name, fields, text):
    """Compiles the changed file alone, and links it before the library that has the sound
    one; a header is found before the sound one. returns: the program."""
    place = os.path.join(OUT, 'plants', name)
    target = fields['target']
    port = TARGETS[target][0]
    changed = os.path.join(place, fields['file'])
    os.makedirs(os.path.join(ROOT, os.path.dirname(changed)), exist_ok=True)
    with open(os.path.join(ROOT, changed), 'w', encoding='utf-8') as f:
        f.write(text)
    source = f'test/fuzz/fuzz_{target}.c'
    includes = ['-I' + os.path.join(place, 'include')] if changed.endswith('.h') else []
    includes += {'linux': ['-Iinclude', '-Isrc', '-I.', '-Ihal/common', '-Ihal/linux'],
                 'sim': ['-Ihal/sim', '-Iinclude', '-Isrc', '-Ihal/common', '-DGMK_SIM=1',
                         '-Wl,--wrap=_Exit']}[port]
    if target in LIBRARIES:
        includes.append('-I' + os.path.dirname(fields['file']))
    objects = [source] if changed.endswith('.h') else \
        [changed, os.path.join(OUT, port, source[:-2] + '.o')]
    exe = os.path.join(place, 'fuzz')
    command = [CC, '-std=c11', '-g', '-O1', '-fno-strict-aliasing', '-w'] + INSTRUMENT.split() + \
        [LINK] + includes + objects + \
        [os.path.join(OUT, port, a) for a in LIBRARIES.get(target, ()) + ('libgmk_cpu.a',)] + \
        ['-pthread', '-o', exe]
    done = subprocess.run(command, cwd=ROOT, env=ENV, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError('it does not build: ' + done.stderr.strip()[-400:])
    return exe


def run_plant(name):
    fields, old, new = read_plant(name)
    with open(os.path.join(ROOT, fields['file']), encoding='utf-8') as f:
        sound = f.read()
    target = fields['target']
    if sound.count(old) != 1:
        print(f"[FAIL] plant_{name}: the text stands {sound.count(old)} times in "
              f"{fields['file']}: renew it")
        return False
    try:
        exe = build_plant(name, fields, sound.replace(old, new))
    except RuntimeError as e:
        print(f'[FAIL] plant_{name}: {e}')
        return False
    for seed in range(1, SEEDS + 1):
        bad, text = fuzz(target, from_seeds(target) + [f"-runs={fields['runs']}", f'-seed={seed}'],
                         exe, os.path.join(OUT, 'plants', name, 'found-'))
        if bad:
            break
    else:
        print(f"[FAIL] plant_{name}: survived {SEEDS} times {fields['runs']} runs of fuzz_{target}")
        return False
    seen = re.search(r'.*(?:broken:|gave -?\d|runtime error|ERROR: ).*', text)
    if not seen:
        print(f'[FAIL] plant_{name}: the program ended without naming what it found')
        story(target, text)
        return False
    print(f'[PASS] plant_{name}: {seen.group(0).strip()}', flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('targets', nargs='*')
    options = parser.parse_args()
    names = options.targets or [n for n in TARGETS
                                if os.path.exists(os.path.join(HERE, f'fuzz_{n}.c'))]
    for n in names:
        if n not in TARGETS:
            parser.error(f'there is no target {n}; there are: ' + ' '.join(TARGETS))
    plants = sorted(f[:-6] for f in os.listdir(os.path.join(HERE, 'plants'))
                    if f.endswith('.plant')) if options.check else []
    plants = [p for p in plants if read_plant(p)[0]['target'] in names]
    os.makedirs(os.path.join(ROOT, OUT), exist_ok=True)
    why = has_fuzzer()
    if why:
        for n in names:
            print(f'[SKIP] fuzz_{n}: {why}')
        print(f'0 passed, 0 failed, {len(names)} skipped')
        return 0
    if not make(names):
        print(f'0 passed, {len(names)} failed, 0 skipped')
        return 1
    good = sum(run_target(n, options) for n in names) + sum(run_plant(p) for p in plants)
    total = len(names) + len(plants)
    print(f'{good} passed, {total - good} failed, 0 skipped')
    return good != total or total == 0


sys.exit(main())
