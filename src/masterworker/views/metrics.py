"""A job as metrics for Prometheus. Labels are the job and the tag, never a task or a worker.

Names and units: https://prometheus.io/docs/practices/naming and the OpenMetrics specification,
https://github.com/prometheus/OpenMetrics: counters end in `_total`, and units are base units.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from masterworker.data.record import printable
from masterworker.version import __version__
from masterworker.views.wording import name_of, without_forecast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.shapes import Snapshot, Tag

#: Of what `exposition` returns.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
#: Upper bounds of the histogram of durations (seconds), which are bounds of the recorder's classes:
#: 61 us to 18 h, in steps of four times.
BOUNDS: Final = tuple(2.0**n for n in range(-14, 17, 2))
#: Longest label (characters).
_LABEL: Final = 200

#: Name, what it is, and the field of `Tag`.
_COUNTERS: Final = (
    ("masterworker_tasks_requested_total", "Tasks that were asked for", "asked"),
    ("masterworker_tasks_done_total", "Tasks that have a result", "done"),
    ("masterworker_tasks_failed_total", "Tasks that have failed for good", "failed"),
    ("masterworker_tasks_cancelled_total", "Tasks that were cancelled", "cancelled"),
)
_GAUGES: Final = (
    ("masterworker_tasks_waiting", "Tasks that wait for a worker", "waiting"),
    (
        "masterworker_tasks_in_hand",
        "Tasks that workers have, or that pause after a failure",
        "in_hand",
    ),
    ("masterworker_workers_busy", "Workers that are at such tasks", "busy_workers"),
    ("masterworker_workers_able", "Workers that can execute such tasks", "able_workers"),
)
_OF_JOB: Final = (
    ("masterworker_workers_lost_total", "Workers that were lost", "lost"),
    (
        "masterworker_task_attempts_repeated_total",
        "Attempts that were followed by another one",
        "repeated",
    ),
    ("masterworker_task_copies_total", "Second copies of slow tasks", "copies"),
    (
        "masterworker_task_reports_dropped_total",
        "Reports that came too late or twice",
        "duplicates",
    ),
)


def exposition(label: str, snapshot: Snapshot, *, is_over: bool = False) -> bytes:
    """Return how a job stands, in Prometheus' text format. Thread-safe.

    Args:
        label: The job's.
        snapshot: How it stands; whole.
        is_over: It does not go on, so nothing is said of when it will be done.
    """
    if is_over:
        snapshot = without_forecast(snapshot)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Job(label, snapshot))
    found: bytes = generate_latest(registry)
    return found


class _Job(Collector):
    """The metrics of one job."""

    def __init__(self, label: str, snapshot: Snapshot) -> None:
        self._label, self._snapshot = _text(label), snapshot
        self._tags: dict[str, Tag] = {}
        for tag in snapshot.tags:
            self._tags[_other(_text(name_of(tag.name)), self._tags)] = tag

    def collect(self) -> Iterator[Any]:
        """Yield all of them."""
        snapshot, job = self._snapshot, self._label
        labels = ["job", "instance", "version"]
        about = GaugeMetricFamily("masterworker_job_info", "The job", labels=labels)
        about.add_metric([job, _text(snapshot.instance), __version__], 1)
        yield about
        yield from self._of_tags()
        for name, text, field in _OF_JOB:
            counter = CounterMetricFamily(name, text, labels=["job"])
            counter.add_metric([job], getattr(snapshot, field))
            yield counter
        here = [worker for worker in snapshot.worker_list if worker.left is None]
        gauges = (
            ("masterworker_workers", "Workers that are here", snapshot.workers),
            (
                "masterworker_workers_memory_bytes",
                "Their memory",
                sum(each.memory for each in here),
            ),
            (
                "masterworker_job_start_time_seconds",
                "When the job began, since 1970",
                snapshot.began,
            ),
            ("masterworker_job_age_seconds", "How long ago it began", snapshot.age),
            ("masterworker_job_ended", "1: it is over", int(snapshot.ended)),
            (
                "masterworker_job_troubles",
                "Reasons that keep it from going on",
                len(snapshot.troubles),
            ),
            (
                "masterworker_job_remaining_seconds",
                "When it will be done",
                snapshot.forecast.seconds,
            ),
        )
        for name, text, value in gauges:
            if value is not None:
                gauge = GaugeMetricFamily(name, text, labels=["job"])
                gauge.add_metric([job], value)
                yield gauge

    def _of_tags(self) -> Iterator[Any]:
        labels = ["job", "tag"]
        for family, metrics in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            for name, text, field in metrics:
                metric = family(name, text, labels=labels)
                for tag, figures in self._tags.items():
                    metric.add_metric([self._label, tag], getattr(figures, field))
                yield metric
        text = "How long executions of tasks took, also of those that failed or were repeated"
        durations = HistogramMetricFamily("masterworker_task_duration_seconds", text, labels=labels)
        for tag, figures in self._tags.items():
            durations.add_metric([self._label, tag], _buckets(figures), figures.busy)
        yield durations


def _buckets(tag: Tag) -> list[tuple[str, float]]:
    """Return upper bounds, and how many tasks took no longer."""
    found = []
    for bound in (*BOUNDS, inf):
        number = sum(n for lower, n in tag.histogram if lower < bound * 0.999)
        found.append(("+Inf" if bound == inf else repr(bound), float(number)))
    return found


def _text(text: str) -> str:
    return printable(text[:_LABEL])


def _other(name: str, taken: dict[str, Tag]) -> str:
    """Return a name that is not taken: what cannot be printed may make two tags look alike."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found
