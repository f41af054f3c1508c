# SPDX-License-Identifier: MIT
"""From the values of all rounds to the rows of a result: medians, ratios, verdicts.

A target is (against, ratio) or (against, ratio, kind). The kinds:
  OVER     ours over the best peer whose name begins with `against` (BEST: of all), turned
           so that more is better; to be at least the target
  COST     what ours costs over what `against` costs; to be at most the target
  SPREAD   the dearest series of the row over the cheapest; to be at most the target
A target is reached when the interval of the rounds reaches it."""
import statistics

BEST = "best"
OVER, COST, SPREAD = "over", "cost", "spread"
LOW_IS_GOOD = ("ns", "ms", "MiB")
OURS = "GGMK"


def figures(samples):
    """who -> {round: value}; without disturbed runs where at least half were clean. And the
    set of those whose values are of disturbed runs too."""
    every, clean = {}, {}
    for rnd, who, value, disturbed, *_ in samples:
        every.setdefault(who, {})[rnd] = value
        if not disturbed:
            clean.setdefault(who, {})[rnd] = value
    unsure = {w for w, v in every.items() if 2 * len(clean.get(w, {})) < len(v)}
    return {w: v if w in unsure else clean[w] for w, v in every.items()}, unsure


def medians(fig):
    """Without those that stalled (0)."""
    m = {w: statistics.median(v.values()) for w, v in fig.items()}
    return {w: x for w, x in m.items() if x > 0}


def quotients(above, below):
    """[median, low, high, n] of the rounds that have both; of the medians (n 0) if none has."""
    q = [above[r] / below[r] for r in above if above[r] > 0 and below.get(r, 0) > 0]
    if q:
        return [statistics.median(q), min(q), max(q), len(q)]
    whole = statistics.median(above.values()) / statistics.median(below.values())
    return [whole, whole, whole, 0]


def compare(unit, fig, target):
    """Ours (or the dearest), the best peer (or the cheapest), and the ratio to each peer."""
    against, _, kind = (*target, OVER)[:3]
    med = medians(fig)
    order = sorted(med, key=med.get, reverse=unit not in LOW_IS_GOOD)  # the best first
    if kind == SPREAD:
        mine, peers = (order[-1], order[:1]) if len(order) > 1 else (None, [])
    else:
        mine = OURS if OURS in med else None
        peers = [w for w in order
                 if w != OURS and (against == BEST or w.startswith(against))]
    above_is_mine = (kind == OVER) == (unit not in LOW_IS_GOOD)
    ratios = {w: quotients(*((fig[mine], fig[w]) if above_is_mine else (fig[w], fig[mine])))
              for w in peers if mine}
    best = peers[0] if peers else None
    ratio, low, high, _ = ratios.get(best, [None] * 4)
    return {"mine": mine, "ours": med.get(mine), "best_peer": best,
            "best_peer_figure": med.get(best), "ratio": ratio, "low": low, "high": high,
            "ratios": ratios}


def reached(kind, low, high, target, failed):
    if target is None or low is None:
        return None
    if any(f.startswith(OURS) for f in failed):
        return False
    return high >= target if kind == OVER else low <= target


def entries(row, samples, failed, stamp):
    """The rows of a result that one row makes, one for each of its targets."""
    name, title, unit, _, targets = row
    fig, unsure = figures(samples)
    every = {w: {"median": statistics.median(v.values()), "low": min(v.values()),
                 "high": max(v.values()), "n": len(v)} for w, v in fig.items()}
    out = []
    for target in targets or [(BEST, None)]:
        kind = (*target, OVER)[:3][2]
        c = compare(unit, fig, target)
        out.append({"row": name, "title": title, "unit": unit, "kind": kind,
                    "against": target[0], **c, "target": target[1],
                    "met": reached(kind, c["low"], c["high"], target[1], failed),
                    "unsure": not unsure.isdisjoint((c["mine"], c["best_peer"])),
                    "unsure_figures": sorted(unsure), "runs": len(samples),
                    "disturbed": sum(s[3] for s in samples), "failed": failed,
                    "figures": every, **stamp})
    return out
