"""The timeline of a run from its result.json alone, a line a column: what a dashboard needs.

python3 timeline.py runs/breaker-20261129-091500/result.json
"""

import json
import sys


def events(r):
    """When what happened: faults, deaths, notes, and the states of breakers."""
    for f in r["faults"]:
        yield from ((f[at], sign + f["name"]) for at, sign in (("injected_s", "+ "), ("healed_s", "- ")) if f[at] >= 0)
    for e in r.get("events", []):
        yield e["at_s"], "! " + e["kind"]
    for v in r["verdicts"]:
        for x in v.get("exhibits", []):
            if x["kind"] == "states":
                yield from ((s["from_s"], "breaker " + s["state"]) for s in x["states"]["spans"])


def main(file):
    r = json.load(open(file))
    w = r["series"]["whole"]
    n, step, begin, end = len(w["offered"]), w["step_s"], w["from_s"], w["to_s"]
    happened = sorted(events(r))
    print(f"{r['name']}: {r['ruling']}, {begin:.2f} s to {end:.2f} s in {n} columns of {step} s")
    for i in range(n):
        at = begin + i * step
        length = min(step, end - at)
        p50, p99 = ("-" if w["response"][q][i] is None else f"{w['response'][q][i]:.1f}" for q in ("p50_ms", "p99_ms"))
        links = " ".join(f"{l['name']} {l['ended'][i]} ({l['errors'][i]})" for l in w.get("links") or [])
        what = "; ".join(text for s, text in happened if at <= s < at + step or i == 0 and s < at)
        print(f"{at:7.1f}s offered {w['offered'][i] / length:.0f}/s, ended {w['ended'][i] / length:.0f}/s, "
              f"ok {w['outcomes'].get('ok', [0] * n)[i]}, p50 {p50} ms, p99 {p99} ms, {links} {what}")
    columns, routes = sum(w["ended"]) + sum(w["unsent"]), sum(route["requests"] for route in r["routes"])
    print(f"the columns have {columns} requests, the routes {routes}")
    return columns != routes


sys.exit(main(sys.argv[1]))
