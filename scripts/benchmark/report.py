"""Writes what was measured: the raw figures, plots, and the tables of docs/benchmarks.md."""

import datetime
import importlib.metadata
import json
import statistics

import plots
import tables
from figures import Figures, median, text
from processes import processor_name, processors
from tables import NETWORK_TITLES, SIZE_TITLES

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
PACKAGES = ["fastapi", "uvicorn", "litserve", "pillow", "onnxruntime", "numpy"]


def panels(figures, kinds, field, connections, mark=False, extent=None):
    """Bars of every server for each network and size."""
    found = []
    for model, title in NETWORK_TITLES.items():
        for size, size_title in SIZE_TITLES.items():
            bars = []
            for kind in kinds.values():
                value = median(figures.load(model, kind.name, size, connections, field))
                if value is not None:
                    end = median(figures.load(model, kind.name, size, connections, extent)) if extent else None
                    alone = median(figures.alone(model, kind.precision)) if mark else None
                    bars.append(plots.Bar(kind.title, kind.name, value, text(value), end, text(end), alone))
            if bars:
                found.append(plots.Panel(f"{title}, {size_title}", bars))
    return found


def draw(folder, figures, kinds):
    """Writes the plots; their names and what they show."""
    wanted = [
        ("throughput", "Pictures a second, 16 connections", "The line is what the model alone does in the same precision.",
         panels(figures, kinds, "per_second", 16, mark=True)),
        ("latency", "Milliseconds to an answer, 16 connections", "Half of the answers took at most the dark bar, 99 of 100 at most the light one.",
         panels(figures, kinds, "p50_ms", 16, extent="p99_ms")),
        ("cpu", "Processor milliseconds for a picture, 16 connections", "All processes of the server.", panels(figures, kinds, "cpu_ms", 16)),
        ("memory", "Peak memory in MB, 64 connections", "All processes of the server; what they share counts once.",
         panels(figures, kinds, "peak_mb", 64)),
    ]
    drawn = []
    for name, title, subtitle, found in wanted:
        if found:
            file = folder / f"benchmarks-serving-{name}.svg"
            file.write_text(plots.svg(title, subtitle, found))
            drawn.append((file.name, title))
    return drawn


def versions(record):
    commits = sorted({line["commit"] for line in record.lines})
    return {"tagpoint": " and ".join(commits)} | {name: importlib.metadata.version(name) for name in PACKAGES}


def lines_of(figures, kinds, connections, about, drawn):
    lines = [about, ""]
    requirement_table, missed = tables.requirement_lines(figures)
    lines += [*requirement_table, ""]
    for name, title in drawn:
        lines += [f"![{title}]({name})", ""]
    for model, title in NETWORK_TITLES.items():
        for size, size_title in SIZE_TITLES.items():
            found = tables.network_lines(figures, model, size, kinds, connections)
            if found:
                lines += [f"**{title}, {size_title}**: pictures a second at {', '.join(map(str, connections))} connections; "
                          "ratios and processor time at 16; times in milliseconds", "", *found, ""]
    rest = {
        "**One node, PNG of 8 × 8**": tables.one_node_lines(figures, kinds),
        "**Settings**": tables.setting_lines(figures, kinds),
        "**Not as it should be**": tables.caveats(figures),
    }
    for title, found in rest.items():
        if found:
            lines += [title, "", *found, ""]
    return lines, missed


def write(folder, benchmark):
    """Writes everything into a folder; how many requirements are missed."""
    folder.mkdir(parents=True, exist_ok=True)
    figures, kinds = Figures(benchmark.record), benchmark.kinds
    loads = benchmark.record.find(kind="load")
    connections = sorted({line["connections"] for line in loads if line["pictures"] in SIZE_TITLES})
    rounds = len({line["round"] for line in loads})
    sizes = {kind: round(statistics.mean(file.stat().st_size for file in files)) for kind, files in benchmark.pictures.items()}
    head = {"made": datetime.date.today().isoformat(), "processors": processors(), "processor": processor_name(),
            "versions": versions(benchmark.record), "picture_bytes": sizes}
    (folder / "benchmarks-serving.json").write_text(document(head, benchmark.record.lines))
    packages = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    seconds = " or ".join(f"{seconds:g}" for seconds in sorted({line["seconds"] for line in loads}))
    about = (f"{head['made']}, {processors()} processors ({processor_name()}), {packages}; "
             f"{f'medians of {rounds} rounds' if rounds > 1 else 'one round'}, {seconds} seconds for each figure. "
             f"JPEGs of {sizes['small'] / 1e3:.0f} kB and {sizes['large'] / 1e6:.1f} MB.")
    lines, missed = lines_of(figures, kinds, connections, about, draw(folder, figures, kinds))
    put(folder / "benchmarks.md", lines)
    print("\n".join(lines))
    return missed


def document(head, measurements):
    """One JSON object, with a line for each measurement."""
    lines = ",\n  ".join(json.dumps(line) for line in measurements)
    return json.dumps(head, indent=1).removesuffix("\n}") + f',\n "measurements": [\n  {lines}\n ]\n}}\n'


def put(page, lines):
    """Puts the lines between the page's two marks."""
    before, _, rest = (page.read_text() if page.exists() else f"{BEGIN}\n{END}\n").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("\n".join([before + BEGIN, "", *lines, END + after]))
