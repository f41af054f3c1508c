# SPDX-License-Identifier: MIT
"""The files of results: latest.json, latest.txt, raw.tsv and history/."""
import json
import os
import platform
import re
import sys

from gate import output
from report import table

KIND = ("cores", "cpu", "cc", "cxx")  # of machines whose ratios can be compared


def machine(args):
    cpu = {}
    for line in open("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        cpu.setdefault(key.strip(), value.strip())
    model = cpu.get("model name", platform.machine())
    if "cpu family" in cpu:
        model += f" (family {cpu['cpu family']}, model {cpu['model']})"
    system = dict(l.rstrip("\n").split("=", 1) for l in open("/etc/os-release") if "=" in l)
    kernel = "Linux " + ".".join(platform.release().split(".")[:2])
    return {"cores": os.cpu_count(), "cpu": model, "kernel": kernel,
            "system": system.get("PRETTY_NAME", "").strip('"'),
            "cc": output(*args.cc.split(), "--version").partition("\n")[0],
            "cxx": output(*args.cxx.split(), "--version").partition("\n")[0]}


def peer_versions(packages):
    form = "${Package} ${db:Status-Status} ${Version}\n"
    text = output("dpkg-query", "-W", "-f", form, *packages)
    lines = [l.split() for l in text.splitlines()]
    return {l[0]: l[2] for l in lines if len(l) == 3 and l[1] == "installed"}


def load(path):
    """A result; None if there is none there."""
    try:
        with open(path) as f:
            doc = json.load(f)
    except OSError:
        return None
    except ValueError as e:
        sys.stderr.write(f"{path}: {e}\n")
        return None
    return doc if isinstance(doc, dict) and isinstance(doc.get("rows"), list) else None


def history(folder):
    """Results of earlier runs, the newest first."""
    try:
        names = sorted(os.listdir(os.path.join(folder, "history")), reverse=True)
    except OSError:
        return []
    docs = [load(os.path.join(folder, "history", n)) for n in names if n.endswith(".json")]
    return [d for d in docs if d]


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)


def brief(x):
    """The same with figures of six digits."""
    if isinstance(x, dict):
        return {k: brief(v) for k, v in x.items()}
    if isinstance(x, list):
        return [brief(v) for v in x]
    return float(f"{x:.6g}") if isinstance(x, float) else x


def keep(folder, doc):
    """Adds this run to the history, a line a row."""
    os.makedirs(os.path.join(folder, "history"), exist_ok=True)
    name = re.sub(r"[^0-9T]", "", doc["date"].replace(" ", "T", 1)[:16]) + "-" + doc["commit"]
    same = sum(n.startswith(name + ".") for n in os.listdir(os.path.join(folder, "history")))
    head = {k: v for k, v in doc.items() if k != "rows"}
    rows = ",\n".join(json.dumps(r, separators=(",", ":")) for r in doc["rows"])
    text = json.dumps(head, separators=(",", ":"))[:-1] + ',"rows":[\n' + rows + "\n]}\n"
    write(os.path.join(folder, "history", f"{name}{'.%d' % same if same else ''}.json"), text)


def merge(folder, doc, raw, order):
    """Keeps earlier rows of the same machine beside the new ones, and writes everything.
    raw: row -> lines of raw.tsv, for each row that was run; order: all rows."""
    doc["rows"] = brief(doc["rows"])
    keep(folder, doc)
    path = {n: os.path.join(folder, n) for n in ("latest.json", "latest.txt", "raw.tsv")}
    old = load(path["latest.json"]) or {}
    same = old.get("machine") == doc["machine"]
    kept = [r for r in old.get("rows", []) if same and r["row"] not in raw and r["row"] in order
            and "kind" in r]
    doc["rows"] = sorted(doc["rows"] + kept, key=lambda r: order.index(r["row"]))
    names = {r["row"] for r in kept}
    lines = []
    if os.path.exists(path["raw.tsv"]):
        with open(path["raw.tsv"]) as f:
            lines = [l for l in f.read().splitlines() if l.split("\t")[0] in names]
    lines += [line for row in raw for line in raw[row]]
    text = table(doc)
    write(path["latest.json"], json.dumps(doc, indent=1) + "\n")
    write(path["latest.txt"], text)
    write(path["raw.tsv"], "row\tround\twho\tvalue\tunit\tstate\tnear_before\tnear_after\n" +
          "".join(l + "\n" for l in lines))
    return text
