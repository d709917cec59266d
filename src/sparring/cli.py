"""The command line: one verb per job, each also a function of the Python API. Heavy imports stay inside the verbs.

Results go to stdout, progress and notes to stderr. A mistake of the user's ends in one line and exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from sparring.cli_evaluate import evaluate
from sparring.cli_output import note, path_option, print_json, print_lines
from sparring.diagnose.command import diagnose
from sparring.toy.command import toy

app = typer.Typer(
    help="Train GANs against better opponents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeArgument = Annotated[str, typer.Argument(help="A shipped recipe's name, a YAML file, or a run's folder.")]
Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as steps=500 batch_size=32 objective.r1.weight=5."),
]
ClassifierOverrides = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as criterion=baseline or negatives.per_batch=32."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def main() -> None:
    """Run the command line; the entry point of the package. Exits with 2 for a mistake, 130 after Ctrl-C."""
    from sparring.errors import SparringError

    try:
        code = app(standalone_mode=False)  # typer answers Ctrl-C and --help with an exit code
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except SparringError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if type(error).__name__ == "Abort":
            sys.exit(130)
        if not _is_usage_error(error):
            raise
        _fail(error.format_message())  # type: ignore[attr-defined]


def _is_usage_error(error: Exception) -> bool:
    """Whether click, typer's own or the installed one, says that the words of the command are wrong."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _fail(message: str) -> None:
    sys.stderr.write(f"sparring: {' '.join(message.split())}\n")
    sys.exit(2)


@app.command()
def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    out: Annotated[Optional[Path], path_option("The run's folder; runs/NAME by default.")] = None,  # noqa: UP045
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    resume_from: Annotated[Optional[int], typer.Option(help="Continue from this step's checkpoint.")] = None,  # noqa: UP045
    start_from: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", help="Start with the networks of another run, where they fit."),
    ] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Count bad images and go on.")] = False,
    device: Annotated[Optional[str], typer.Option(help="cpu, cuda, cuda:1, ...")] = None,  # noqa: UP045
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also log for TensorBoard.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a GAN: `sparring train quickstart steps=500`."""
    import os

    from sparring.report import tables
    from sparring.training.progress import RichProgress
    from sparring.training.run import train as train_run

    run = train_run(
        recipe,
        [*(overrides or []), *(["data.skip_unreadable=true"] if skip_unreadable else [])],
        out=out,
        start_from=start_from,
        resume=resume,
        resume_from=resume_from,
        device=device,
        tensorboard=tensorboard,
        progress=RichProgress,
        note=note,
        command="sparring " + " ".join(sys.argv[1:]),
    )
    if os.environ.get("RANK", "0") != "0":
        return
    rows = run.metrics
    measured = [record for record in rows if record["step"] == rows[-1]["step"]]
    if as_json:
        print_json({"run": str(run.folder), "steps": run.recipe.steps, "metrics": measured})
        return
    tables.print_metrics(measured)
    print_lines(
        f"run        {run.folder}  ({run.recipe.steps} steps)",
        f"pictures   {run.folder / 'samples'}",
        f"report     {run.folder / 'report.html'}",
        f"sample it  sparring sample {run.folder} --n 64 --out samples.png",
    )


@app.command()
def sample(
    run: Annotated[str, typer.Argument(help="A run's folder or a generator.safetensors.")],
    out: Annotated[Path, path_option("A .png of all, an .npz, or a folder for one PNG each.")],
    n: Annotated[int, typer.Option("--n", help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    label: Annotated[Optional[str], typer.Option(help="A class, by name or number; all in turn by default.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """Draw images from a trained generator; needs no data."""
    from sparring.api import sample as draw

    images = draw(run, n, seed=seed, labels=label, out=out)
    if as_json:
        print_json({"out": str(out), "n": len(images), "shape": list(images.shape[1:]), "seed": seed})
    else:
        print_lines(str(out))


app.command()(evaluate)


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship with the package."""
    from sparring.api import recipes as list_recipes
    from sparring.recipe_files import quoted_rows
    from sparring.report import tables

    found = list_recipes()
    if as_json:
        print_json(found)
    else:
        tables.print_recipes(found, quoted_rows())


@app.command()
def show(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    diff: Annotated[Optional[str], typer.Option(help="Another recipe: print only what differs.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """A dry run: the resolved recipe, parameters, terms, and passes through D and G per step."""
    from sparring.report import tables

    if diff is not None:
        from sparring.api import compare

        changed = compare(recipe, diff, overrides or [])
        print_json(changed) if as_json else tables.print_differences(recipe, diff, changed)
        return
    from sparring.api import show as describe
    from sparring.classify.tables import print_classifier

    description = describe(recipe, overrides or [], note=note)
    if as_json:
        print_json(description)
    else:
        (tables.print_description if "per_step" in description else print_classifier)(description)


@app.command()
def pack(
    source: Annotated[str, typer.Argument(help="A folder, zip, npz or named data set.")],
    out: Annotated[Optional[Path], path_option("The packed .npz; in this folder by default.")] = None,  # noqa: UP045
    split: Annotated[Optional[str], typer.Option(help="Which split of a source that has some.")] = None,  # noqa: UP045
    size: Annotated[Optional[int], typer.Option(help="Crop to a square and resize to this many pixels.")] = None,  # noqa: UP045
    channels: Annotated[Optional[int], typer.Option(help="1 for grayscale, 3 for colour.")] = None,  # noqa: UP045
    classes: Annotated[Optional[str], typer.Option(help="Some classes: names or numbers, by commas.")] = None,  # noqa: UP045
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Count bad images and go on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decode images once into one file that loads at once."""
    from sparring.data.sources import load
    from sparring.data.sources import pack as pack_images

    path = pack_images(
        source,
        out,
        split=split,
        size=size,
        channels=channels,
        classes=classes,
        skip_unreadable=skip_unreadable,
        note=note,
    )
    packed = load(path)
    if as_json:
        shape = [packed.channels, packed.height, packed.width]
        print_json({"out": str(path), "n": len(packed), "shape": shape, "classes": list(packed.class_names)})
    else:
        print_lines(str(path))


@app.command()
def classify(
    recipe: RecipeArgument,
    overrides: ClassifierOverrides = None,
    out: Annotated[Optional[Path], path_option("The run's folder; runs/NAME by default.")] = None,  # noqa: UP045
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    beside: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A trained classifier to compare with, as NAME=RUN; may be given again."),
    ] = None,
    device: Annotated[Optional[str], typer.Option(help="cpu, cuda, cuda:1, ...")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """Train a classifier that knows what it does not know: `sparring classify nat/demo`."""
    from sparring.classify.report import ncr_rows_of, positive_rows_of
    from sparring.classify.run import named_classifiers, train_classifier
    from sparring.classify.tables import print_table
    from sparring.training.progress import RichProgress

    run = train_classifier(
        recipe,
        overrides or [],
        out=out,
        resume=resume,
        beside=named_classifiers(beside or []),
        device=device,
        progress=RichProgress,
        note=note,
        command="sparring " + " ".join(sys.argv[1:]),
    )
    if as_json:
        print_json({"run": str(run.folder), "classifiers": run.results})
        return
    print_table(*positive_rows_of(run.results))
    columns, rows = ncr_rows_of(run.results)
    if rows:
        print_table(columns, rows)
    print_lines(
        f"run        {run.folder}",
        f"report     {run.folder / 'report.html'}",
        f"use it     sparring predict {run.folder} IMAGES...",
    )


@app.command()
def predict(
    classifier: Annotated[str, typer.Argument(help="A classifier's run, or its classifier.safetensors.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Image files, folders and zips.")],
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Answers below it are unknown; the classifier's own by default."),
    ] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Name bad images and go on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what images show, with a confidence, or "unknown"."""
    from sparring.classify.predict import predict as predict_images
    from sparring.classify.tables import print_predictions

    found = predict_images(classifier, images, threshold=threshold, skip_unreadable=skip_unreadable, note=note)
    print_json(found) if as_json else print_predictions(found)


@app.command()
def export(
    classifier: Annotated[str, typer.Argument(help="A classifier's run, or its classifier.safetensors.")],
    out: Annotated[Path, path_option("The file: .safetensors, .pt2 (torch.export) or .onnx.")],
    as_json: AsJson = False,
) -> None:
    """Write a classifier for other programs, and check that they compute the same numbers."""
    from sparring.classify.export import export_classifier

    written = export_classifier(classifier, out)
    difference = f"largest difference of a logit {written['largest_difference']:.1e}"
    print_json(written) if as_json else print_lines(f"{written['out']}  ({written['kind']}, {difference})")


app.command()(toy)


app.command()(diagnose)

bench = typer.Typer(help="Time this library against textbook implementations.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@bench.command(name="step")
def bench_step(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    iterations: Annotated[int, typer.Option(help="Pairs of measurements, ours and the textbook's in turn.")] = 20,
    at: Annotated[Optional[int], typer.Option(help="Read schedules at this step; late in the run by default.")] = None,  # noqa: UP045
    device: Annotated[Optional[str], typer.Option(help="cpu, cuda, cuda:1, ...")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """One training step on synthetic data, against a plain and fair textbook step of the same recipe."""
    from sparring.bench.step import bench_step as measure

    found = measure(recipe, overrides or [], iterations=iterations, at=at, device=device, note=note)
    if as_json:
        print_json(found)
        return
    print_lines(
        f"ours       {found['ours_ms']:.1f} ms per step, {found['ours_gflops']:.3g} GFLOP",
        f"textbook   {found['textbook_ms']:.1f} ms per step, {found['textbook_gflops']:.3g} GFLOP",
        f"ratio      {found['ratio']:.2f} (quartiles {found['ratio_low']:.2f} to {found['ratio_high']:.2f})",
    )


if __name__ == "__main__":
    main()
