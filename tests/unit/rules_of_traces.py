"""What has to hold of each file of trace events, so that Perfetto shows it as it is meant."""

from __future__ import annotations

from typing import Any

MOST = 100_000


def check(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Hold a trace against the rules. Returns its spans."""
    events = trace["traceEvents"]
    assert 0 < len(events) <= MOST
    processes, threads = set(), set()
    for event in events:
        assert isinstance(event["pid"], int)
        assert isinstance(event.get("tid", 0), int)
        assert event["ph"] in {"M", "X", "C", "i"}
        assert isinstance(event["name"], str)
        if event["ph"] == "M":
            if event["name"] == "process_name":
                assert event["pid"] not in processes
                processes.add(event["pid"])
            if event["name"] == "thread_name":
                assert event["tid"] not in threads
                threads.add(event["tid"])
            if event["name"].endswith("_name"):
                assert event["args"]["name"].isprintable()
            continue
        assert isinstance(event["ts"], int)
        assert event["ts"] >= 0
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
    spans = [event for event in events if event["ph"] == "X"]
    assert {event["pid"] for event in events} == processes
    assert {event["tid"] for event in spans} <= threads
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for span in spans:
        assert isinstance(span["dur"], int)
        assert span["dur"] >= 0
        tracks.setdefault((span["pid"], span["tid"]), []).append(span)
    assert len({tid for _, tid in tracks}) == len(tracks), "a thread of two processes"
    for track in tracks.values():
        end = 0
        for span in sorted(track, key=lambda each: (each["ts"], each["ts"] + each["dur"])):
            assert span["ts"] >= end
            end = span["ts"] + span["dur"]
    return spans
