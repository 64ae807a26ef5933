# SPDX-License-Identifier: GPL-2.0-or-later
"""bench/run's table on stdout: all figures, and those that have to reach something."""
import itertools

AT_LEAST, AT_MOST = "≥", "≤"
# how many there were to go wrong: --quick has no time for all of them
LOOKUPS_BESIDE_UPDATES = "update.reader_lookups"
WANTED = (
    ("lookup.v4.uniform.dep.vs_lpm_trie", AT_LEAST, 45),
    ("lookup.v6.uniform.dep.vs_lpm_trie", AT_LEAST, 18),
    ("forward.v4.uniform.vs_kernel", AT_LEAST, 9),
    ("forward.v4.zipf.vs_kernel", AT_LEAST, 5),
    ("forward.v4.hot.vs_kernel", AT_LEAST, 1.2),
    ("forward.v6.uniform.vs_kernel", AT_LEAST, 15),
    ("forward.v6.zipf.vs_kernel", AT_LEAST, 9),
    ("e2e.v4.uniform.vs_kernel", AT_LEAST, 2.8),
    ("miss.ns", AT_MOST, 20),
    ("update.load_all.ms", AT_MOST, 60),
    ("update.churn.per_s", AT_LEAST, 700000),
    ("update.churn.p99_us", AT_MOST, 3),
    ("update.reader_wrong", AT_MOST, 0),
    (LOOKUPS_BESIDE_UPDATES, AT_LEAST, 1e8),
    ("update.packets_lost", AT_MOST, 0),
    ("converge.ratio", AT_MOST, 1.05),
    ("memory.v4.mib", AT_MOST, 8),
    ("memory.v6.mib", AT_MOST, 14),
)
# bench/failover's keys; those without a line here are reported only
FAILOVER_WANTED = {
    "outage_ms_1": (AT_MOST, 2),
    "outage_ms_1m": (AT_MOST, 2),
    "flows_moved": (AT_MOST, 0),
    "churn_outage_ms": (AT_MOST, 10),
    "start_later_s": (AT_MOST, 0.3),
    "lfa_packets": (AT_LEAST, 1),
    "metrics_vty_ms": (AT_MOST, 100),
    "metrics_netconf_ms": (AT_MOST, 100),
    # one may have been under way when the command returned
    "metrics_late": (AT_MOST, 1),
    "metrics_lost": (AT_MOST, 0),
    "metrics_others_reordered": (AT_MOST, 0),
    "metrics_commit_ms": (AT_MOST, 1000),
    "kill9_lost": (AT_MOST, 0),
    "kill9_wrong": (AT_MOST, 0),
    "restart_lost": (AT_MOST, 0),
    "restart_stale": (AT_MOST, 0),
    "differences": (AT_MOST, 0),
    "planted_found": (AT_LEAST, 1),
    "growth_kib": (AT_MOST, 0),
}


def number(value):
    """Four digits, or all of a large whole number."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def print_grid(lines):
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for first, *others in lines:
        print("  " + "  ".join([first.ljust(widths[0])] + [o.rjust(w) for o, w in zip(others, widths[1:])]))


def rows_of(figures):
    """((name, {column: median}), ...): what shares all of its key but the last word is one row."""
    rows = {}
    for key, figure in figures.items():
        name, _, column = key.rpartition(".")
        rows.setdefault(name, {})[column] = figure["median"]
    return rows.items()


def print_figures(figures):
    """Rows that have the same columns are one table, in which what is alike stands below each other."""
    for columns, rows in itertools.groupby(rows_of(figures), key=lambda row: tuple(row[1])):
        rows = list(rows)
        print()
        if len(rows) == 1:
            print_grid([[f"{rows[0][0]}.{column}", number(value)] for column, value in rows[0][1].items()])
        else:
            print_grid([["", *columns]] + [[name] + [number(row[c]) for c in columns] for name, row in rows])


def print_wanted(figures, quick):
    lines = [["", "wanted", "measured", "least", "most", ""]]
    for key, sign, wanted in WANTED:
        if quick and key == LOOKUPS_BESIDE_UPDATES:
            continue
        line = [key, f"{sign} {number(wanted)}"]
        if key in figures:
            measured = figures[key]["median"]
            met = measured >= wanted if sign == AT_LEAST else measured <= wanted
            line += [number(figures[key][name]) for name in ("median", "least", "most")] + ["met" if met else "missed"]
        else:
            line += ["", "", "", "not measured"]
        lines.append(line)
    print()
    print_grid(lines)


def print_where(data):
    """What was measured on, and with."""
    machine = data["machine"]
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
    print(f"{machine['cpu']}, {machine['cores']} cores, {caches}; Linux {machine['kernel']}; load {machine['load']}; "
          f"{data['date']}")
    for name, table in data["tables"].items():
        print(f"{name}: {table['v4']:,} IPv4 and {table['v6']:,} IPv6 prefixes ({table['source']})")


def print_failed(data):
    for section, reason in data["failed"].items():
        print(f"\nFAILED: section {section}: {reason}")


def worst(key, figure):
    """Of all rounds, the one furthest from what is wanted."""
    return figure["least" if FAILOVER_WANTED.get(key, (AT_MOST,))[0] == AT_LEAST else "most"]


def is_met(key, figure):
    sign, wanted = FAILOVER_WANTED[key]
    return worst(key, figure) >= wanted if sign == AT_LEAST else worst(key, figure) <= wanted


def print_failover(data):
    """bench/failover's table; all that is asked for has a line, measured or not."""
    figures = data["figures"]
    lines = [["", "wanted", "worst", "median", "repetitions", ""]]
    for key in data["keys"]:
        sign, wanted = FAILOVER_WANTED.get(key, (None, None))
        line = [key, f"{sign} {number(wanted)}" if sign else "reported"]
        if key in figures:
            verdict = "" if not sign else "pass" if is_met(key, figures[key]) else "MISSED"
            line += [number(worst(key, figures[key])), number(figures[key]["median"]), str(figures[key]["rounds"]),
                     verdict]
        else:
            line += ["", "", "", "not measured"]
        lines.append(line)
    print_where(data)
    print()
    print_grid(lines)
    beside = {key: figure for key, figure in figures.items() if key not in data["keys"]}
    if beside:
        print("\nBeside it:")
        print_grid([["", "worst", "median", "repetitions"]] +
                   [[key, number(worst(key, figure)), number(figure["median"]), str(figure["rounds"])]
                    for key, figure in beside.items()])
    if data["quick"]:
        print("\n--quick: fewer repetitions and events, smaller tables; for figures to quote run it without.")
    print_failed(data)


def print_report(data):
    print_where(data)
    print_figures(data["figures"])
    print_wanted(data["figures"], data["quick"])
    if data["quick"]:
        print("\n--quick: fewer rounds, and smaller tables in some sections; for figures to quote run it without.")
    print_failed(data)
