# SPDX-License-Identifier: GPL-2.0-or-later
"""bench/run's plots: bars of gnuplot's, as SVG."""
import subprocess


class Failed(Exception):
    pass


# file, title, how keys begin, how their rows and columns end, unit, whether its axis is logarithmic
PLOTS = (
    ("lookup", "A lookup that waits for the one before", "lookup.", ".dep", "_ns", "ns, logarithmic", True),
    ("forward", "The router's share of a packet", "forward.", "", "_ns", "CPU ns per packet", False),
    ("e2e", "Two veths, one core, sender and receiver included", "e2e.", "", "_mpps", "million packets per second", False),
    ("update", "A change of the tables", "update.", "", "_us", "µs, logarithmic", True),
)
NAMES = {"ours": "dplane_ebpf", "lpm_trie": "LPM_TRIE", "fib_lookup": "bpf_fib_lookup", "dir_24_8": "DIR-24-8",
         "kernel": "kernel", "xdp": "dplane_ebpf at XDP", "mean": "mean", "p50": "p50", "p99": "p99", "max": "max"}


def bars(figures, begin, row_end, column_end):
    """{row: {column: median}} of keys BEGIN ROW ROW_END . COLUMN COLUMN_END."""
    rows = {}
    for key, figure in figures.items():
        row, _, column = key.rpartition(".")
        column = column.removesuffix(column_end) if column.endswith(column_end) else None
        if row.startswith(begin) and row.endswith(row_end) and column in NAMES:
            row = row.removeprefix(begin).removesuffix(row_end)
            rows.setdefault(row, {})[column] = figure["median"]
    return rows


def script(path, title, unit, logarithmic, rows):
    columns = [name for name in NAMES if any(name in row for row in rows.values())]
    # the shortest bar of a logarithmic plot is to be seen as well
    least = min((value for row in rows.values() for value in row.values() if value > 0), default=1) / 2
    lines = ['set terminal svg noenhanced size 900,420 dynamic background "white" font "sans-serif,13"',
             f'set output "{path}"', f'set title "{title}"', f'set ylabel "{unit}"',
             "set style data histograms", "set style histogram clustered gap 1",
             "set style fill solid 0.85 noborder", "set grid ytics", "set key below", "set xtics scale 0",
             'set datafile missing "-"',
             f"set logscale y; set yrange [{least:g}:*]" if logarithmic else "set yrange [0:*]",
             "$bars << END", " ".join(['"row"'] + [f'"{NAMES[column]}"' for column in columns])]
    for name, row in rows.items():
        values = [f"{row[column]:.6g}" if column in row else "-" for column in columns]
        lines.append(" ".join([f'"{name.replace(".", " ")}"'] + values))
    # what is measured twice has one colour
    plotted = [f"$bars using {n}:xtic(1) title columnheader({n}) linetype {list(NAMES).index(column) % 6 + 1}"
               for n, column in enumerate(columns, 2)]
    return "\n".join(lines + ["END", "plot " + ", ".join(plotted)]) + "\n"


def draw(figures, directory):
    """The names of the files: a plot for which there are no figures is not drawn."""
    drawn = []
    for name, title, begin, row_end, column_end, unit, logarithmic in PLOTS:
        rows = bars(figures, begin, row_end, column_end)
        if not rows:
            continue
        try:
            done = subprocess.run(["gnuplot"], input=script(directory / f"{name}.svg", title, unit, logarithmic, rows),
                                  text=True, capture_output=True)
        except FileNotFoundError:
            raise Failed("gnuplot is not installed (tools/deps --bench)") from None
        if done.returncode or done.stderr:
            raise Failed(f"gnuplot on {name}: {done.stderr.strip()}")
        drawn.append(f"{name}.svg")
    return drawn
