"""All plots of this folder, in one style."""

from pathlib import Path

#: Where plots go, unless somebody says otherwise.
FOLDER = Path(__file__).with_suffix("")
MISSING = "no plots: matplotlib is not installed (pip install 'masterworker[bench]')"


def draw(path, title, x, series, x_label, y_label, *, log_x=True, log_y=False):
    """Draw curves into a file: SVG, or what its name ends with.

    Args:
        path: Where to; a plain name is one in `FOLDER`.
        title: What is shown.
        x: The values on the horizontal axis, for all curves.
        series: For each curve's name its values, None for those that are missing; or a pair of
            x and such values, for a curve with an x of its own.
        x_label: What x is, with its unit.
        y_label: What the values are, with their unit.
        log_x: Whether the horizontal axis is logarithmic.
        log_y: Whether the vertical one is.

    Returns:
        The path; None where matplotlib is missing, which is said once.
    """
    pyplot = _pyplot()
    if pyplot is None:
        return None
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, values), marker in zip(series.items(), "osD^vPX*<>" * len(series), strict=False):
        xs, ys = values if isinstance(values, tuple) else (x, values)
        points = [
            (at, y) for at, y in zip(xs, ys, strict=True) if y is not None and (at or not log_x)
        ]
        many = len(points) > 40
        axes.plot(*zip(*points, strict=True), label=name, marker="" if many else marker)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, which="major", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(series) > 1:
        axes.legend(frameon=False)
    path = Path(path)
    if path.parent == Path():
        path = FOLDER / path
    if not path.suffix:
        path = path.with_name(f"{path.name}.svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    print(f"plot: {path}", flush=True)
    return path


_said = False


def _pyplot():
    global _said
    try:
        import matplotlib as mpl
    except ImportError:
        if not _said:
            print(MISSING)
        _said = True
        return None
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "masterworker"  # the same figures give the same file
    import matplotlib.pyplot as plt

    return plt
