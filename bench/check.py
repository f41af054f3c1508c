#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names the rows of the last benchmark results that got worse by more than noise.

  bench/check.py                        latest.json against the history
  bench/check.py --baseline FILE        against that result
  bench/check.py --new FILE             that result in place of latest.json
  bench/check.py --run '-n 3 --rows chain'   measures anew first, kept nowhere

A row is compared by its ratio to a peer, which the speed of the machine does not move, and
always to the peer that was best in the baseline. It regressed if the interval of its rounds
lies wholly below that of the baseline (above it, where less is better) by more than
--tolerance. The baseline of a row is the newest undisturbed entry of the history by another
commit on a machine of the same kind: processor, cores, compilers. There is no verdict where
the row was disturbed, where the peer did not run or has another version, and from fewer than
3 rounds. A row that had figures and fails now regressed.
Exit status: 0; 1 a row regressed; 2 wrong usage, or no row could be compared."""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from figures import OVER, SPREAD  # noqa: E402
from report import num  # noqa: E402
from store import KIND, history, load  # noqa: E402

MIN_ROUNDS = 3


def same_row(a, b):
    return all(a[k] == b[k] for k in ("row", "unit", "kind", "against"))


def baseline_of(row, machine, docs):
    """The newest entry of that row; an undisturbed one if there is any."""
    found = [b for d in docs for b in d["rows"]
             if all(d["machine"][k] == machine[k] for k in KIND) and same_row(row, b)
             and b["ratio"] is not None]
    return next((b for b in found if not b["unsure"]), found[0] if found else None)


def obstacle(new, base, peer):
    """Why the two cannot be compared; None if they can."""
    if new["kind"] == SPREAD:
        if set(new["figures"]) != set(base["figures"]):
            return "other sizes were measured"
        series = (new["mine"], new["best_peer"])
    else:
        if peer not in new["ratios"]:
            return f"{peer} did not run"
        was, now = (r["figures"][peer].get("by") for r in (base, new))
        if was != now:
            return f"{peer} is {now or 'of unknown version'}, was {was or 'of unknown version'}"
        series = (new["mine"], peer)
    if base["unsure"] or not set(series).isdisjoint(new["unsure_figures"]):
        return "disturbed" + (" in the baseline" if base["unsure"] else "")
    rounds = min(base["ratios"][base["best_peer"]][3],
                 new["ratios"][new["best_peer"] if new["kind"] == SPREAD else peer][3])
    return f"only {rounds} rounds" if rounds < MIN_ROUNDS else None


def judge(new, base, tolerance):
    """REGRESSION, better, same or `no verdict`, and the reason or the ratio now."""
    if new["ours"] is None or new["failed"] and any(f.startswith("GGMK") for f in new["failed"]):
        return "REGRESSION", "GGMK failed: " + "; ".join(new["failed"] or ["no figure"])
    peer = new["best_peer"] if new["kind"] == SPREAD else base["best_peer"]
    why = obstacle(new, base, peer)
    if why:
        return "no verdict", why
    ratio, low, high, _ = new["ratios"][peer]
    down = high < base["low"] * (1 - tolerance)
    up = low > base["high"] * (1 + tolerance)
    worse, better = (down, up) if new["kind"] == OVER else (up, down)
    word = "REGRESSION" if worse else "better" if better else "same"
    return word, f"ratio {ratio:.3g} [{low:.3g} .. {high:.3g}]"


def story(new, base, word, text):
    peer = base["best_peer"] if new["kind"] != SPREAD else "the cheapest size"
    return (f"{word}: {new['row']} ({new['title']}) against {peer}: {text}, "
            f"{num(new['ours'])} {new['unit']} at {new['commit']} ({new['date']}); it was ratio "
            f"{base['ratio']:.3g} [{base['low']:.3g} .. {base['high']:.3g}], {num(base['ours'])} "
            f"{base['unit']} at {base['commit']} ({base['date']})")


def compare_all(doc, docs, tolerance, other_commit):
    """Prints a line for each row; returns the counts of the words."""
    counts = dict.fromkeys(("REGRESSION", "better", "same", "no verdict"), 0)
    for new in doc["rows"]:
        older = [{**d, "rows": [b for b in d["rows"] if not other_commit
                                or b["commit"] != new["commit"]]} for d in docs]
        base = baseline_of(new, doc["machine"], older)
        if base is None:
            word = "no verdict"
            print(f"no verdict: {new['row']} ({new['title']}): no baseline of another commit on this kind of machine")
        else:
            word, text = judge(new, base, tolerance)
            if word == "no verdict":
                print(f"no verdict: {new['row']} ({new['title']}): {text}")
            else:
                print(story(new, base, word, text))
        counts[word] += 1
    return counts


def read(path):
    doc = load(path)
    if doc is None or any("ratios" not in r for r in doc["rows"]):
        sys.stderr.write(f"bench-check: {path} is no result\n")
        sys.exit(2)
    return doc


def measure(args, folder):
    done = subprocess.run([os.path.join(HERE, "run"), *shlex.split(args), "-o", folder],
                          stdout=subprocess.DEVNULL, check=False)
    path = os.path.join(folder, "latest.json")
    if done.returncode not in (0, 1) or not os.path.exists(path):
        sys.stderr.write("bench-check: no new results\n")
        sys.exit(2)
    return read(path)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--results", default=os.path.join(HERE, "results"), help="folder of results")
    ap.add_argument("--new", help="the result to judge (latest.json)")
    ap.add_argument("--run", help="measure first, with these arguments of bench/run")
    ap.add_argument("--baseline", help="the result to compare with (newest of the history)")
    ap.add_argument("--tolerance", type=float, default=0.05,
                    help="share between the intervals that is still noise (0.05)")
    args = ap.parse_args()
    if args.run is not None:
        with tempfile.TemporaryDirectory() as folder:
            doc = measure(args.run, folder)
    else:
        doc = read(args.new or os.path.join(args.results, "latest.json"))
    docs = [read(args.baseline)] if args.baseline else history(args.results)
    counts = compare_all(doc, docs, args.tolerance, not args.baseline)
    compared = counts["REGRESSION"] + counts["better"] + counts["same"]
    print(f"{compared} compared, {counts['REGRESSION']} regressed, {counts['better']} better, "
          f"{counts['no verdict']} without verdict")
    if compared == 0:
        sys.stderr.write("bench-check: nothing to compare with; make bench at another commit "
                         "fills the history\n")
        return 2
    return 1 if counts["REGRESSION"] else 0


if __name__ == "__main__":
    sys.exit(main())
