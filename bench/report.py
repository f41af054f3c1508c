# SPDX-License-Identifier: MIT
"""The words of a result: the verdict of a row, and the table of all rows."""

from figures import COST, LOW_IS_GOOD, OVER, SPREAD

CAPTION = """\
Medians; ratio: ours over the peer (so that more is better), median of the rounds, with the
lowest and the highest round. Rows whose target is "at most": what ours costs over what the
other figure costs; of sizes, the dearest over the cheapest. A target is reached when the
interval low..high reaches it.
MPMC: peers move items of 64 bytes; a GGMK cell moves 60 in one line: the 48-byte task, 8 of
channel sequence, 4 of subscription and retries. moodycamel is unbounded and ordered by
producer only. libgomp runs a task as a call once more than 64 per thread wait.
"""


def num(x):
    return "-" if x is None else f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def target(r):
    if r["target"] is None:
        return "-"
    return f"{'' if r['kind'] == OVER else 'at most '}{r['target']:.3g}"


def verdict(r):
    """In plain words."""
    if r["ours"] is None or any(f.startswith("GGMK") for f in r["failed"]):
        return "GGMK failed" if r["failed"] else "not built"
    if r["ratio"] is None:
        return "no peer"
    if r["target"] is None:
        word = "no target"
    elif not r["met"]:
        word = "not reached"
    elif (r["ratio"] >= r["target"]) == (r["kind"] == OVER) or r["ratio"] == r["target"]:
        word = "reached"
    else:
        word = "reached within the spread"
    return "unsure, disturbed: " + word if r["unsure"] else word


def peer(r):
    if r["best_peer"] is None:
        return "no peer has such a call" if r["row"] == "submit-batch" else "no peer installed"
    if r["kind"] == SPREAD:
        return f"{r['mine']} / {r['best_peer']}"
    return r["best_peer"]


def detail(r):
    """Every figure of a row, the best first."""
    low = r["unit"] in LOW_IS_GOOD
    out = [f"{r['title']} [{r['unit']}, {'lower' if low else 'higher'} is better]  {r['date']}  "
           f"commit {r['commit']}"]
    for who, f in sorted(r["figures"].items(), key=lambda x: x[1]["median"], reverse=not low):
        text = f"{num(f['low'])} .. {num(f['high'])}" if f["median"] > 0 else "stalled"
        out.append(f"  {who:<42}{num(f['median']):>9}   [{text}] n={f['n']}"
                   f"{', disturbed' if who in r['unsure_figures'] else ''}")
    return out + [f"  FAILED {f}" for f in r["failed"]]


def table(doc):
    m = doc["machine"]
    out = [f"{m['cores']} cores, {m['cpu']}, {m['kernel']}, {m['system']}, {m['cc']}", "",
           f"{'row':<33}{'unit':<11}{'ours':>8}  {'best peer':<39}{'peer':>8} {'ratio':>6} "
           f"{'low':>6} {'high':>6} {'target':>12}  verdict"]
    for r in doc["rows"]:
        out.append(f"{r['title']:<33}{r['unit']:<11}{num(r['ours']):>8}  {peer(r):<39}"
                   f"{num(r['best_peer_figure']):>8} {num(r['ratio']):>6} {num(r['low']):>6} "
                   f"{num(r['high']):>6} {target(r):>12}  {verdict(r)}")
    out += ["", CAPTION]
    seen = set()
    for r in doc["rows"]:
        if r["row"] not in seen:
            out += detail(r)
        seen.add(r["row"])
    out.append("")
    out += [f"peer {name}: {why}" for name, why in sorted(doc["missing_peers"].items())]
    out.append(f"runs dropped as disturbed and repeated: {doc['dropped']}; kept though disturbed: "
               f"{doc['kept_disturbed']}")
    return "\n".join(out) + "\n"


__all__ = ["COST", "num", "peer", "table", "target", "verdict"]
