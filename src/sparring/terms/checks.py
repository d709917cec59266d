"""What several terms check when a run is built."""

from __future__ import annotations

from sparring.errors import SparringError
from sparring.objective.term import Build, Term


def name_of(term: Term) -> str:
    """What a recipe calls the method: the name of its file."""
    return type(term).__module__.rsplit(".", 1)[-1]


def labels(build: Build, term: Term) -> None:
    """Raise SparringError if the data have no labels."""
    if not build.has_labels:
        raise SparringError(f"{name_of(term)} classifies real samples, and the data have no labels: give labelled data")


def separable_host(build: Build, reader: str) -> None:
    """Raise SparringError if the host pairs reals with fakes, so that no single sample has a loss."""
    if build.objective is not None and not build.objective.host(0).separable:
        raise SparringError(
            f"{reader} takes the host's loss of single samples, and {build.objective.host_name} pairs reals with fakes: "
            "use a separable adversarial loss, such as non_saturating or hinge"
        )


def epoch_length(updates: int | None, field: str) -> int:
    """The updates of an epoch; raises SparringError if there are no epochs."""
    if updates is None:
        raise SparringError(f"{field}: epoch has no epochs to count here: use {field}: global")
    return updates


def acts_within(start: int, span: int, *, field: str, unit: str, where: str = "the run") -> None:
    """Raise SparringError if a term that starts at `start` would never act in `span` updates or steps."""
    if start >= span:
        raise SparringError(
            f"{field} is {start} {unit} and {where} has {span}, so it would never act: lower it, or shorten the recipe "
            "with scale="
        )
