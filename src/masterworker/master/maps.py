"""Begins the maps of a job: from a function and iterables to what asks for the tasks."""

from __future__ import annotations

from collections.abc import Sized
from itertools import repeat
from typing import TYPE_CHECKING, Any

from masterworker.core.options import DEFAULT
from masterworker.master.batching import Batcher
from masterworker.master.map_call import USUAL, Bounds, MapCall
from masterworker.master.needs import Travelling
from masterworker.master.requests import Requests
from masterworker.master.task_options import check_tag
from masterworker.streams.seeds import upper_bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.awaits.iterators import Closes, Results
    from masterworker.master.asking import Submission
    from masterworker.master.journaled import Drawing


def map_calls(  # noqa: PLR0913  as many as `Submitter.map`
    to: Submission,
    function: Callable[..., Any] | str,
    iterables: Sequence[Iterable[Any]],
    *,
    ordered: bool = True,
    return_errors: bool = False,
    bounds: Bounds = USUAL,
    seed: int | None = None,
    keys: Iterable[str] | None = None,
    progress: bool = False,
) -> Results[Any]:
    """Begin a `map`; see `Submitter.map`."""
    on_error = _itself if return_errors else None
    requests = requests_of(to, function, iterables, seed=seed, keys=keys)
    results = MapCall(requests, on_error=on_error, bounds=bounds).begin(ordered=ordered)
    return results.followed(_follow(to, requests)) if progress else results


def _follow(to: Submission, requests: Requests) -> Closes | None:
    """Show how far it is from now on; None: it cannot be shown."""
    from masterworker.views.progress.following import follow  # few programs show it

    recorder, router = to.manager.core.recorder, to.router
    name = requests.tag.removeprefix("@")
    return follow(name, requests.counts, lambda: len(recorder.workers), lambda: router.has_ended)


def requests_of(
    to: Submission,
    function: Callable[..., Any] | str,
    iterables: Sequence[Iterable[Any]],
    *,
    seed: int | None = None,
    starred: bool = False,
    keys: Iterable[str] | None = None,
) -> Requests:
    """Return what asks for the tasks of a `map`.

    Args:
        to: Where requests go.
        function: What is called, or the tag of tasks.
        iterables: Where the parameters come from.
        seed: Of the calls' random numbers; None: as the submission has it.
        starred: There is one iterable, whose items are all parameters of a call.
        keys: What a journal knows each by, in the place of its parameters; None: by these.
    """
    travelling = (
        Travelling(check_tag(function), b"", None)
        if isinstance(function, str)
        else to.needs.of_function(function)
    )
    total = None if starred else length_of(iterables)
    share, options = None, to.options
    if seed is not None:
        share = to.seeds.for_map(seed)
    elif to.streams is not None:
        share = to.streams.take(upper_bound(iterables))
    if share is not None and starred:
        iterables = (map(_with_last, iterables[0], share.numbers),)
        travelling = travelling._replace(pickled=share.seeded(travelling.pickled))
    elif share is not None and isinstance(function, str):
        # With options none of them goes in a row, which knows no stream.
        iterables, options = (*iterables, share.each()), options or DEFAULT
    elif share is not None:
        iterables = (*iterables, share.numbers)
        travelling = travelling._replace(pickled=share.seeded(travelling.pickled))
    together = to.together and options is None
    batcher = Batcher(
        *(to.needs, travelling, iterables), together=together, starred=starred, streams=share
    )
    drawing: Batcher | Drawing = batcher
    if to.journaled is not None:
        salt = None if share is None else share.name
        known_by = repeat(to.key) if keys is None and to.key is not None else keys
        drawing = to.journaled.drawing(
            *(batcher, function, iterables), salt=salt, starred=starred, keys=known_by
        )
    return Requests(to.manager, to.router, options, drawing, total)


def length_of(iterables: Iterable[Iterable[Any]]) -> int | None:
    """Return how many items there are, at most; None: that is not known."""
    return min((len(each) for each in iterables if isinstance(each, Sized)), default=None)


def _with_last(parameters: Iterable[Any], last: Any) -> tuple[Any, ...]:
    return (*parameters, last)


def _itself(error: BaseException) -> BaseException:
    return error
