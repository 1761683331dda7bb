"""Tables as Markdown, each a list of lines; empty where nothing was measured."""

import statistics

from figures import median, ratio, scaled, text

NETWORK_TITLES = {"resnet18": "ResNet-18", "resnet50": "ResNet-50"}
SIZE_TITLES = {"small": "500 × 375", "large": "12 megapixels"}
# More than this share of the processors, and the figure is that of a busy machine.
BUSY = 0.05


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return [row(*head), "|" + "---|" * len(head), *(row(*cells) for cells in rows)]


def requirements(figures):
    """What issue and README promise: text, measured, unit, whether less is better, limit."""
    def rate(model, server, pictures):
        return figures.load(model, server, pictures, 16, "per_second")

    peer = {size: rate("resnet18", "fastapi", size) for size in SIZE_TITLES}
    memory = [line["peak_mb"] - line["file_mb"] for line in figures.record.find(kind="memory")]
    starts = figures.record.find(kind="start")
    small, large = SIZE_TITLES.values()
    return [
        (f"ResNet-50 float32, {small}, over the model alone",
         ratio(rate("resnet50", "tagpoint-fp32", "small"), figures.alone("resnet50", "fp32")), "", False, 0.93),
        (f"ResNet-50 INT8, {small}, over the model alone",
         ratio(rate("resnet50", "tagpoint-int8", "small"), figures.alone("resnet50", "int8")), "", False, 0.85),
        (f"ResNet-18 float32, {small}, over FastAPI", ratio(rate("resnet18", "tagpoint-fp32", "small"), peer["small"]), "", False, 1.12),
        (f"ResNet-18 INT8, {small}, over FastAPI", ratio(rate("resnet18", "tagpoint-int8", "small"), peer["small"]), "", False, 3.7),
        (f"ResNet-18 INT8, {large}, over FastAPI", ratio(rate("resnet18", "tagpoint-int8", "large"), peer["large"]), "", False, 4.5),
        ("one node, 64 connections: processor time for a request",
         scaled(median(figures.load("one-node", "tagpoint-fp32", "tiny", 64, "cpu_ms")), 1000), " µs", True, 150),
        ("one node, 1 connection: p50", median(figures.load("one-node", "tagpoint-fp32", "tiny", 1, "p50_ms")), " ms", True, 1),
        (f"peak memory beyond the model file, 64 connections of {large}, 32 MiB for bodies, default settings", max(memory, default=None), " MB", True, 250),
        ("start to ready, ResNet-50 and ResNet-18, from the second start on",
         statistics.median(starts[0]["seconds"][1:]) if starts else None, " s", True, 1),
    ]


def requirement_lines(figures):
    """The table, and how many are missed."""
    rows, missed = [], 0
    for what, value, unit, less_is_better, limit in requirements(figures):
        holds = value is not None and (value <= limit if less_is_better else value >= limit)
        missed += value is not None and not holds
        verdict = "not measured" if value is None else "held" if holds else "**missed**"
        rows.append([what, f"at {'most' if less_is_better else 'least'} {limit}{unit}", text(value) + (unit if value is not None else ""), verdict])
    return table(["at 16 connections where nothing else is said", "required", "measured", ""], rows), missed


def network_lines(figures, model, size, kinds, connections):
    """One network and size of pictures: a row for each server."""
    rows = []
    for kind in kinds.values():
        def field(name, count):
            return figures.load(model, kind.name, size, count, name)
        rates = {count: field("per_second", count) for count in connections}
        if not any(rates.values()):
            continue
        times = [f"{text(median(field('p50_ms', count)))}, {text(median(field('p99_ms', count)))}" for count in connections]
        rows.append([
            kind.title, *(text(median(rates[count])) for count in connections),
            text(ratio(rates.get(16, {}), figures.load(model, "fastapi", size, 16, "per_second"))),
            text(ratio(rates.get(16, {}), figures.alone(model, kind.precision))),
            text(median(field("cpu_ms", 16))), *times, text(median(field("peak_mb", connections[-1]))),
        ])
    if not rows:
        return []
    head = ["", *(f"{count}" for count in connections), "× FastAPI", "× model alone", "CPU ms",
            *(f"p50, p99 at {count}" for count in connections), f"MB at {connections[-1]}"]
    return table(head, rows)


def setting_lines(figures, kinds):
    """Which setting each server was measured with, and how soon it was ready."""
    rows = []
    for model, title in NETWORK_TITLES.items():
        for precision, name in (("int8", "INT8"), ("fp32", "float32")):
            for line in figures.record.find(kind="alone", model=model, precision=precision)[:1]:
                best = max(line["ways"], key=lambda way: way["per_second"])
                rows.append([title, f"model alone, {name}", f"{described(best)}, batches of {best['batch']}",
                             text(median(figures.alone(model, precision))), ""])
        for line in figures.record.find(kind="setting", model=model):
            starts = {i: load["start_seconds"] for i, load in enumerate(figures.record.find(kind="load", model=model, server=line["server"]))}
            rows.append([title, kinds[line["server"]].title, described(line["setting"]), "", text(median(starts))])
    return table(["", "", "the fastest of its settings", "pictures/s", "start, s"], rows) if rows else []


def described(way):
    spinning = ", spinning" if way["spinning"] else ""
    pool = f", {way['pool']} requests at a time in each" if "pool" in way else ""
    return f"{way.get('workers', way.get('instances'))} × {way['threads']} threads{spinning}{pool}"


def one_node_lines(figures, kinds):
    rows = []
    for kind in kinds.values():
        def field(name, count):
            return median(figures.load("one-node", kind.name, "tiny", count, name))
        if field("cpu_ms", 64) is not None:
            rows.append([kind.title.split(",")[0], text(field("per_second", 64)), text(scaled(field("cpu_ms", 64), 1000)), text(field("p50_ms", 64)),
                         text(field("p99_ms", 64)), text(field("p50_ms", 1)), text(field("p99_ms", 1))])
    return table(["", "requests/s at 64", "CPU µs", "p50 ms", "p99 ms", "p50 ms at 1", "p99 ms at 1"], rows) if rows else []


def caveats(figures):
    """What a reader has to know of single measurements: requests that failed, and a machine that was not quiet."""
    lines, failed = [], {}
    loads = figures.record.find(kind="load")
    for line in loads:
        what = f"{line['model']}, {line['server']}, {line['pictures']} pictures, {line['connections']} connections"
        for status, count in line["statuses"].items():
            if status != "200":
                failed[what, status] = failed.get((what, status), 0) + count
    for (what, status), count in failed.items():
        lines.append(f"- {what}: {count} requests got no answer but the status {status}.")
    busy = [line["others_share"] for line in loads if line["others_share"] > BUSY]
    if busy:
        lines.append(f"- In {len(busy)} of {len(loads)} measurements something else took more than {BUSY:.0%} of the processors, "
                     f"at most {max(busy):.0%}.")
    return lines
