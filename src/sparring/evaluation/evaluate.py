"""`sparring evaluate`: measures a run as its recipe says, or any images against any others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sparring.data.assemble import MixedSizesError
from sparring.errors import SparringError
from sparring.evaluation.accuracies import run_accuracies
from sparring.evaluation.engine import check_channels, evaluate_sets, find_metrics, names_of, usual_metrics
from sparring.evaluation.extractors.base import Extractor, sha256_of
from sparring.evaluation.extractors.choice import extractor_for, no_extractor
from sparring.evaluation.image_set import ImageSet, Labels
from sparring.evaluation.sources import is_generator, is_statistics, open_set
from sparring.messages import Note, ProgressHook, no_note, note_or_default, on_command_line, spelling, watched
from sparring.metrics.moments import GaussianStats
from sparring.run.progress import measuring
from sparring.trust import consenting

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe

GROUPS = 10  # of the Inception Score, by default
ACCURACIES = "accuracies"  # the one metric that measures a discriminator


def evaluate_pair(
    images: Any,
    real: Any,
    *,
    metrics: str | Iterable[str] | None = None,
    extractor: Any = None,
    weights: str | Path | None = None,
    sha256: str | None = None,
    n: int | None = None,
    n_real: int | None = None,
    seed: int = 0,
    split: str | None = None,
    images_split: str | None = None,
    labels: Labels | None = None,
    is_splits: int | None = None,
    neighbours: int = 5,
    size: int | None = None,
    channels: int | None = None,
    skip_unreadable: bool = False,
    batch_size: int = 250,
    device: str | None = None,
    progress: ProgressHook | None = None,
    note: Note | None = None,
) -> list[dict[str, Any]]:
    """Measure one set of images against another; see `sparring.evaluate` for what a set can be.

    metrics: see `find_metrics`; by default the Frechet distance, and what the predictions of a classifier allow.
    extractor, weights, sha256: see `extractor_for`; by default the embedded extractor for the embedded images, else none.
    n, n_real: number of images of each set; by default all, or 10,000 of a generator. seed: of latents and draws.
    labels: of a conditional generator's samples: "data" (the default), in the class shares of the whole real set, or
        "uniform".
    split, images_split: of the real and the measured images. size, channels, skip_unreadable: as in `load_images`; real
    images of several sizes are brought to the size of the measured generator.
    Under torchrun the ranks share the work, and all return the same records.
    """
    from sparring.run.runtime import Runtime

    chosen = None if metrics is None else _of_pairs(names_of(metrics), is_splits)
    options: dict[str, Any] = {"seed": seed, "size": size, "channels": channels, "skip_unreadable": skip_unreadable}
    _check_used(images, real, n_real, split, options)
    _check_labels(images, labels)
    runtime = Runtime.start(device)
    say, where = note if note and runtime.is_main else no_note, str(runtime.device)
    options |= {"note": say, "device": where}
    with runtime.together():  # one rank may have to decode what another finds in its cache
        b = _statistics(real) if is_statistics(real) else _real(real, images, n=n_real, split=split, **options)
        a = _opened(images, "--images-split", n=n, split=images_split, real=b, labels=labels or "data", **options)
    if isinstance(b, ImageSet):
        check_channels(a, b)
    extractor = _extractor(extractor, b if isinstance(b, ImageSet) else a, where, weights=weights, sha256=sha256)
    splits = GROUPS if is_splits is None else is_splits
    if chosen is None:
        classes = () if isinstance(b, GaussianStats) else b.class_names
        chosen = usual_metrics(extractor, a.n, splits, say, classes=classes)
    return evaluate_sets(
        a, b, extractor=extractor, metrics=chosen, batch_size=batch_size, splits=splits, neighbours=neighbours, note=say,
        progress=progress if runtime.is_main else None, rank=runtime.rank, world=runtime.world,
    )  # fmt: skip


def evaluate_run(
    run: str | Path,
    overrides: Mapping[str, Any] | list[str],
    chosen: Mapping[str, Any],
    *,
    weights: str | Path | None = None,
    sha256: str | None = None,
    device: str | None = None,
    progress: ProgressHook | None = None,
    note: Note | None = None,
) -> list[dict[str, Any]]:
    """Measure a run by its recipe's `evaluation`, changed by overrides and then by `chosen`.

    The metric `accuracies` measures the discriminator (see `sparring.evaluation.accuracies`), also with n, split and seed.
    Under torchrun the ranks share the work, and all return the same records.
    """
    from sparring.evaluation.protocol import measure_generator
    from sparring.recipe.files import agreed, parse_overrides
    from sparring.run.folder import load_trained_on
    from sparring.run.runtime import Runtime
    from sparring.run.saved import load_generator

    folder = Path(run)
    if not (folder / "recipe.json").is_file():
        raise SparringError(
            f"'{run}' is not a run: give a folder that `sparring train` wrote, or give images to compare with, --real SOURCE"
        )
    changes = parse_overrides(overrides)
    settings = {key: agreed(changes, key, chosen.get(key)) for key in {**changes, **chosen}}
    names = () if settings.get("metrics") is None else names_of(settings["metrics"])
    others = [name for name in names if name != ACCURACIES]
    if others:
        find_metrics(others, ACCURACIES)
    if names:
        settings["metrics"] = others or None
    recipe = _changed(folder, settings)
    _check_groups_used(settings.get("is_splits"), names and others)
    assert recipe.evaluation is not None
    runtime = Runtime.start(device)
    say = note if note and runtime.is_main else no_note
    accuracies: list[dict[str, Any]] = []
    if ACCURACIES in names:
        used = {key: getattr(recipe.evaluation, key) for key in ("n", "split", "seed", "labels") if key in settings}
        if not others:
            _check_unused({key: value for key, value in settings.items() if key not in used}, weights, sha256)
        accuracies = run_accuracies(folder, note=say, device=str(runtime.device), **used)
        if not others:
            return accuracies
    saved = load_generator(folder, runtime.device)
    with runtime.together():
        data = load_trained_on(folder, recipe, say)
    records = measure_generator(
        saved.module, saved.latent_size, data, recipe.evaluation, say, progress if runtime.is_main else None,
        device=runtime.device, weights=weights, sha256=sha256, generator_hash=saved.description.get("content_hash"),
        rank=runtime.rank, world=runtime.world,
    )  # fmt: skip
    return [{"step": saved.description["step"], **record} for record in records] + accuracies


def _changed(folder: Path, given: Mapping[str, Any]) -> Recipe:
    """A run's recipe with changes to its evaluation, even if it was trained without one."""
    from sparring.recipe.files import ParsedOverrides
    from sparring.recipe.gan import Recipe

    changes = {f"evaluation.{key}": list(v) if isinstance(v, tuple) else v for key, v in given.items()}
    recipe = Recipe.load(folder, ParsedOverrides(changes))
    return recipe if recipe.evaluation is not None else Recipe.load(folder, ParsedOverrides(evaluation={}, **changes))


def _check_unused(given: Mapping[str, Any], weights: Any, sha256: Any) -> None:
    """Raise SparringError for options that do not affect accuracies."""
    others = {**given, "weights": weights, "sha256": sha256}
    if unused := [key for key, value in others.items() if value is not None]:
        raise SparringError(f"accuracies depend on n, split, seed and labels only: leave {', '.join(unused)} out")


def _check_used(images: Any, real: Any, n_real: Any, split: Any, options: Mapping[str, Any]) -> None:
    """Raise SparringError for options that do not affect these two sets."""
    if is_statistics(real):
        _refuse("statistics of real images are used as they are", {"n_real": n_real, "split": split})
    if is_generator(images) and (is_generator(real) or is_statistics(real)):
        of_data = {key: options[key] or None for key in ("size", "channels", "skip_unreadable")}
        _refuse("generators and statistics are used as they are", of_data)


def _check_labels(images: Any, labels: Any) -> None:
    if labels not in (None, *get_args(Labels)):
        raise SparringError(f"labels must be {' or '.join(get_args(Labels))}, got {labels!r}")
    if labels is not None and not is_generator(images):
        _refuse("only a generator can be given classes", {"labels": labels})


def _of_pairs(metrics: tuple[str, ...], groups: int | None) -> tuple[str, ...]:
    """The metrics, if they can be computed from two sets and use the groups."""
    if ACCURACIES in metrics:
        raise SparringError(
            f"metric '{ACCURACIES}' measures a run's discriminator on the run's own data: leave --real out"
        )
    _check_groups_used(groups, metrics)
    return metrics


def _check_groups_used(groups: Any, metrics: Sequence[str] | None) -> None:
    """Raise SparringError if groups are given, but no Inception Score."""
    if groups is not None and metrics and "is" not in metrics:
        raise SparringError("--is-splits only affects the metric is: leave it out, or add is to --metrics")


def _refuse(why: str, options: Mapping[str, Any]) -> None:
    if given := [f"--{key.replace('_', '-')}" for key, value in options.items() if value is not None]:
        raise SparringError(f"{why}: leave {', '.join(given)} out")


def _statistics(source: str | Path) -> GaussianStats:
    path = Path(source).expanduser()
    stats = GaussianStats.load(path)
    stats.origin = {"statistics_file": path.name, "statistics_sha256": sha256_of(path)}
    return stats


def _real(real: Any, images: Any, **options: Any) -> ImageSet:
    """The real images, at a generator's size if their own sizes differ and none is given."""
    try:
        return _opened(real, "--split", **options)
    except MixedSizesError:
        if options["size"] is not None or not is_generator(images):
            raise
    side = open_set(images, n=2, device=options["device"]).take(0, 1).shape[-1]
    options["note"](f"images of '{real}' differ in size: all are cut and resized to the generator's {side} pixels")
    return _opened(real, "--split", **options | {"size": side})


def _opened(source: Any, split_option: str, **options: Any) -> ImageSet:
    with spelling(on_command_line(split=split_option)):
        return open_set(source, **options)


def _extractor(choice: Any, images: ImageSet, device: str, **own: Any) -> Extractor:
    example = _example(images)
    extractor = extractor_for(choice, example, device, **own)
    if extractor is None:
        raise no_extractor(example)
    return extractor


def _example(images: ImageSet) -> Any:
    """A few images with the set's classes, for choosing and trying an extractor."""
    from sparring.data.packed import PackedImages

    return PackedImages(images.take(0, 2), class_names=images.class_names, name=images.name)


def evaluate(
    run: Any,
    *,
    real: Any = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    metrics: str | Iterable[str] | None = None,
    extractor: Any = None,
    weights: str | Path | None = None,
    sha256: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    split: str | None = None,
    labels: str | None = None,
    is_splits: int | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | bool | None = None,
    note: Note | None = None,
    allow_code: bool = False,
    **others: Any,
) -> list[dict[str, Any]]:
    """Measure a run as its recipe says, or, with `real`, any images against any others. Records say all they depend on.

    run, real: a run, a generator file, a folder, a zip, an npz, a named data set, or images from Python; `real` can also be
        an npz of statistics. Without `real`, `run` must be a run, and its recipe says what is measured.
    overrides: of the recipe's `evaluation`, as `key=value` strings or a mapping.
    metrics, extractor, weights, sha256, n, seed, split, labels, is_splits, others: the arguments of `evaluate_pair`. For
        None the recipe decides, or the defaults there.
    allow_code: whether files that are opened may name code that does not ship with sparring (see docs/trust.md).
    progress: whether to show a bar, by default in a notebook or if stderr is a terminal; or a function of (images done,
        all images). note: called with messages for the user, which by default go to stderr in the same cases.
    """
    if "" in [each for each in (run, real) if isinstance(each, str)]:
        raise SparringError("the name of the images is empty: give a run, a file, a folder or a data set")
    changes = overrides if isinstance(overrides, Mapping) else list(overrides)
    chosen: dict[str, Any] = {"extractor": extractor, "n": n, "seed": seed, "split": split, "is_splits": is_splits}
    chosen |= {"metrics": metrics, "labels": labels}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    common: dict[str, Any] = {"weights": weights, "sha256": sha256, "device": device, "note": note_or_default(note)}
    shown = watched() if progress is None else progress
    opened = (run,) if real is None else (run, real)
    with (
        measuring() if shown is True else nullcontext(shown or None) as common["progress"],
        consenting(allow_code, *opened),
    ):
        if real is None:
            _check_alone(others)
            return evaluate_run(run, changes, chosen, **common)
        if changes:
            raise SparringError(
                "key=value changes the recipe's evaluation, which is not used with --real: use the options"
            )
        return evaluate_pair(run, real, **chosen, **common, **others)


def _check_alone(others: Mapping[str, Any]) -> None:
    """Raise SparringError for options that only two sets of images have."""
    if others:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in others)
        cure = f"; without it, write n_real={others['n_real']}" if "n_real" in others else ""
        raise SparringError(f"{options} can only be used with --real, images to compare with{cure}")
