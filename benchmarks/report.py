"""From records to one table, with ratios to the best peer."""

import datetime as dt
import os
import platform
import statistics
from pathlib import Path

import psutil

from benchmarks.libraries import NotAvailableError, version
from benchmarks.runner import NOISY
from benchmarks.workloads import WORKLOADS

OURS = "masterworker"
WIDTH = 53


def head(libraries):
    """Say what was measured, where and when."""
    versions = [f"Python {platform.python_version()}"]
    for name in [*libraries, "numpy"]:
        try:
            number = version(name) if name != "numpy" else _numpy()
        except NotAvailableError:
            continue
        if number:
            versions.append(f"{name} {number}")
    return {
        "date": dt.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "versions": versions,
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} processors "
        f"({_processor()}), {psutil.virtual_memory().total / 1e9:.0f} GB of memory",
    }


def _numpy():
    import importlib.metadata

    try:
        return importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def table(about, records):
    """Return the whole report as text."""
    libraries = list(dict.fromkeys(record["library"] for record in records))
    turns = 1 + max((record["turn"] for record in records), default=0)
    lines = [
        f"{about['date']}; {', '.join(about['versions'])}",
        about["machine"],
        f"Each figure is the median of {turns}, in fresh processes, in turn with the others.",
        f"Ratio: how many times better {OURS} is than the best of the others; below 1 it is worse.",
        "",
        f"{'':{WIDTH}} {'':21}"
        + "".join(f"{name[-12:]:>13}" for name in libraries)
        + f"{'ratio':>9}  best of the others",
    ]
    for key in dict.fromkeys(record["workload"] for record in records):
        lines += _rows(key, libraries, [r for r in records if r["workload"] == key])
    return "\n".join([*lines, *_remarks(records)])


def _rows(key, libraries, records):
    workload = WORKLOADS[key]
    title = f"{key:4} {workload.describe(records[0]['tasks'])}"
    for figure in workload.figures:
        values = {name: median(figure.name, records, name) for name in libraries}
        cells = "".join(f"{_cell(values[n], records, n):>13}" for n in libraries)
        comparison = _comparison(values, more_is_better=figure.more_is_better)
        yield f"{title:{WIDTH}} {figure.unit:21}{cells}{comparison}"
        title = ""


def median(figure, records, library):
    """The median of what was measured, of quiet runs where there are any; None: nothing."""
    good = [r for r in records if r["library"] == library and "figures" in r]
    quiet = [r for r in good if r["foreign"] <= NOISY]
    return statistics.median(r["figures"][figure] for r in quiet or good) if good else None


def _cell(value, records, library):
    if value is not None:
        return number(value) + ("~" if _is_noisy(records, library) else "")
    found = [r for r in records if r["library"] == library]
    return "failed" if any("failed" in r for r in found) else "n/a"


def _is_noisy(records, library):
    """Whether no run of it was quiet."""
    good = [r for r in records if r["library"] == library and "figures" in r]
    return all(r["foreign"] > NOISY for r in good)


def _comparison(values, *, more_is_better):
    peers = {n: v for n, v in values.items() if n != OURS and v is not None}
    ours = values.get(OURS)
    if not peers or ours is None:
        return ""
    best = (max if more_is_better else min)(peers, key=peers.__getitem__)
    better, worse = (ours, peers[best]) if more_is_better else (peers[best], ours)
    return f"{better / worse:9.2f}  {best}" if worse else ""


def number(value):
    """A number as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _remarks(records):
    """What the figures do not say: each once, in the order of its coming."""
    found = {}
    for record in records:
        for kind in ("skipped", "failed", "remark"):
            if kind in record:
                said = record[kind].replace("\n", " ")
                text = f"{record['workload']}, {record['library']}: {said}"
                found[text] = found.get(text, 0) + 1
    lines = [text + (f" ({times} times)" if times > 1 else "") for text, times in found.items()]
    noisy = [record["foreign"] for record in records if record["foreign"] > NOISY]
    if noisy:
        lines.append(
            f"~: noise. Other programs used up to {100 * max(noisy):.0f} % of the processors "
            f"during {len(noisy)} of {len(records)} runs; a figure with ~ has no quiet run"
        )
    return ["", *lines] if lines else []
