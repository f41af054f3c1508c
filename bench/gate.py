# SPDX-License-Identifier: MIT
"""The programs of the benchmark, and the gate that keeps only undisturbed runs of them."""
import os
import resource
import subprocess
import time

NOT_INSTALLED = "not installed (scripts/setup.sh --full)"
MALLOCS = {"alloc:glibc": ("glibc malloc", ""), "alloc:jemalloc": ("jemalloc", "libjemalloc.so.2"),
           "alloc:mimalloc": ("mimalloc", "libmimalloc.so.2"),
           "alloc:tcmalloc": ("tcmalloc (gperftools)", "libtcmalloc_minimal.so.4")}
VARIANTS = {  # of our own programs: what the environment says
    "traces-off": {"BENCH_TRACE": "off", "BENCH_WHO": "traces off, at run time"},
    "quiet": {"BENCH_TRACE": "off", "BENCH_WHO": "built without traces and timing"},
}


def output(*cmd):
    try:
        return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False).stdout.strip()
    except OSError:
        return ""


class Program:
    """One command that prints lines of a row, or the reason why there is none.

    key: a program of the folder bin_dir. "program:size" hands it a number after the row,
    "program:variant" an environment; "alloc:malloc" is alloc_malloc with that one loaded."""

    def __init__(self, key, name, groups, bin_dir):
        self.key, self.name, self.groups = key, name, groups.split()
        self.args, self.env, self.why, self.failed = [], {}, "", ""
        self.ours = key.startswith(("ours_", "quiet/"))
        program, _, option = key.partition(":")
        if option.isdigit():
            self.args = [option]
        elif option and key not in MALLOCS:
            self.env = VARIANTS[option]
        self.path = os.path.join(bin_dir, "alloc_malloc" if key in MALLOCS else program)
        if key in MALLOCS:
            self.preload(*MALLOCS[key])
        if not self.why and not os.path.exists(self.path):
            skip = self.path + ".skip"
            self.why = open(skip).read().strip() if os.path.exists(skip) else "not built"

    def preload(self, who, lib):
        self.env = {"BENCH_WHO": who}
        if lib:
            self.env.update(LD_PRELOAD=lib, BENCH_PRELOADED=lib)
        if lib and lib not in output("/sbin/ldconfig", "-p"):
            self.why = NOT_INSTALLED

    def execute(self, row):
        """The fields of each line; None if it failed. A peer may have none of that row."""
        try:
            p = subprocess.run([self.path, row, *self.args], env={**os.environ, **self.env},
                               text=True, timeout=60, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired:
            self.failed = f"{row}: no end within 60 s"
            return None
        lines = [l.split("\t") for l in p.stdout.splitlines()]
        if p.returncode != 0:
            self.failed = f"{row}: exit {p.returncode}: {p.stderr.strip()[-300:]}"
        elif self.ours and not lines or any(len(l) != 4 or l[0] != row for l in lines):
            self.failed = f"{row}: no figures"
        else:
            return lines
        return None


class Budget:
    """How long the gate may still wait: what the runs to come do not need of the time."""

    def __init__(self, minutes, wait, patience):
        self.start = time.monotonic()
        self.minutes = minutes
        self.wait, self.patience = wait, patience
        self.spent, self.used, self.done, self.left = 0.0, 0.0, 0, 0

    def took(self):
        return time.monotonic() - self.start

    def allowance(self):
        need = self.left * self.used / max(1, self.done)
        spare = 60 * self.minutes - self.took() - need
        return max(0.0, min(self.wait, self.patience - self.spent, spare))

    def ran(self, waited, took):
        """One of the planned runs is over."""
        self.spent += waited
        self.used += took
        self.done += 1
        self.left -= 1


class Gate:
    """Runs programs on a quiet machine whose two cores are near, as long as patience lasts."""

    def __init__(self, args):
        self.near_program = os.path.join(args.bin, "near")
        self.near_window = [float(x) for x in args.near_ns.split("-")]
        self.budget = Budget(args.minutes, args.wait, args.patience)
        self.dropped, self.kept = 0, 0
        self.pid = os.getpid()

    def busy_s(self):
        """Processor seconds of everybody and of this program with its children."""
        f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
        total = (sum(f) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")
        own = sum(resource.getrusage(w).ru_utime + resource.getrusage(w).ru_stime
                  for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return total - own

    def others_ns(self):
        """Processor time of each other task; finer than the clock ticks of /proc/stat."""
        out = {}
        for p in os.listdir("/proc"):
            if not p.isdigit() or int(p) == self.pid:
                continue
            try:
                for t in os.listdir(f"/proc/{p}/task"):
                    with open(f"/proc/{p}/task/{t}/schedstat") as f:
                        out[t] = int(f.read().split()[0])
            except (OSError, IndexError, ValueError):
                pass  # it ended meanwhile, or the kernel does not count
        return out

    def snapshot(self):
        return time.monotonic(), self.busy_s(), self.others_ns()

    def disturbance(self, before, after, slack_s):
        """Seconds of processor that others took, above what does not matter."""
        wall = after[0] - before[0]
        fine = sum(ns - before[2].get(t, 0) for t, ns in after[2].items()) / 1e9
        coarse = after[1] - before[1] - 0.03  # three clock ticks of doubt
        return max(fine, coarse) - 0.08 * wall - slack_s

    def near(self):
        """ns of a line from core to core, and whether they are neighbours but not one core."""
        ns = float(output(self.near_program) or "inf")
        return ns, self.near_window[0] <= ns <= self.near_window[1]

    def settle(self, deadline):
        """Waits until the machine is quiet and the cores are near; says whether they are."""
        while True:
            a = self.snapshot()
            time.sleep(0.05)
            quiet = self.disturbance(a, self.snapshot(), 0.0) <= 0
            ns, near = self.near()
            if quiet and near or time.monotonic() >= deadline:
                return ns, quiet and near

    def run(self, program, row):
        """Returns lines (None if the program failed), disturbed, ns before, ns after."""
        start = time.monotonic()
        deadline = start + self.budget.allowance()
        while True:
            ns_before, clean = self.settle(deadline)
            a = self.snapshot()
            lines = program.execute(row)
            b = self.snapshot()
            ns_after, near = self.near()
            clean = clean and near and self.disturbance(a, b, 0.003) <= 0
            if lines is None or clean or time.monotonic() >= deadline:
                break
            self.dropped += 1
        # 0.1 s: what a run costs at an open gate.
        self.budget.ran(max(0.0, a[0] - start - 0.1), time.monotonic() - a[0] + 0.1)
        if lines is not None and not clean:
            self.kept += 1
        return lines, not clean, ns_before, ns_after
