"""The verbs `sparring study ...` and `sparring studies`. Heavy imports stay inside, as in all verbs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparring.cli.options import AsJson, Device, group, path_option
from sparring.cli.output import note, plain_console, print_json, print_lines
from sparring.messages import about_time, counted
from sparring.version import command_line

if TYPE_CHECKING:
    from sparring.study.table import Table as StudyTable

study = group("Compare recipes over seeds: plans of rows, runs anywhere, tables with intervals.")
Folder = Annotated[Path, typer.Argument(help="The study's folder.")]


@study.command()
def run(
    plan: Annotated[str, typer.Argument(help="A shipped study's name, a YAML file, or a recipe with --vary.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes of every row's recipe, such as steps=500.")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="paper, mini, smoke, or another of the plan's.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="How many, or a range such as 100-104. Default: the plan's.")
    ] = None,
    rows: Annotated[list[str] | None, typer.Option(help="A row's label. May be repeated. Default: all.")] = None,
    vary: Annotated[list[str] | None, typer.Option(help="KEY=A,B,C: a recipe by a setting. May be repeated.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at once. Default: as many as there are cores.")] = None,
    executor: Annotated[
        str, typer.Option(help="local, ray, ray:ADDRESS, slurm:partition=gpu,timeout_min=60, or package.module:Class.")
    ] = "local",
    out: Annotated[Path | None, path_option("The study's folder. Default: runs/studies/NAME-SCALE.")] = None,
    device: Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train every row for every seed, and go on where it stopped: `sparring study run as-gan/figure-4 --scale smoke`."""
    from sparring.errors import SparringError

    chosen: Any = None if seeds is None else int(seeds) if seeds.isdecimal() else seeds
    options: dict[str, Any] = {"scale": scale, "seeds": chosen, "rows": rows or None, "vary": vary or ()}
    if dry_run:
        from sparring.study.check import cost_of

        planned = cost_of(plan, changes or [], note=note, **options)
        print_json(planned) if as_json else _print_costs(planned)
        return
    from sparring.study.engine import run as run_study

    done = run_study(
        plan,
        changes or [],
        **options,
        jobs=jobs,
        executor=executor,
        device=device,
        out=out,
        note=note,
        command=command_line("sparring"),
    )
    table([done.folder], as_json=as_json)
    if done.errors:
        (row, seed), error = next(iter(done.errors.items()))
        runs = counted(len(done.study.rows) * len(done.study.seeds), "run")
        raise SparringError(
            f"{len(done.errors)} of {runs} could not be trained, such as "
            f"{row}, seed {seed}: {error}; the same command tries again"
        )


@study.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """How far a study is, and about how long it still takes."""
    from sparring.study.status import status as status_of

    found = status_of(folder)
    if as_json:
        print_json(found)
        return
    columns = ("row", "done", "failed", "running", "left")
    _print_table(columns, [tuple(row[column] for column in columns) for row in found["rows"]])
    said = "{study} at scale {scale}: {done} of {} done, {failed} failed".format(counted(found["runs"], "run"), **found)
    if found["done"] < found["runs"]:
        said += f", {found['running']} running, {found['left']} left, {about_time(found['seconds_left'])} to go"
        said += "" if found["is_running"] else "; nothing is running now"
    print_lines(said, *(f"could not be trained: {run}: {error}" for run, error in found["errors"].items()))


@study.command()
def table(
    folders: Annotated[list[Path], typer.Argument(help="A study's folder, or the folders of runs that exist.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """A study's results with intervals and verdicts, or the table of runs, grouped by recipe but for the seed."""
    from sparring.study.results import of_runs
    from sparring.study.table import open_study, tabulate

    are_runs = len(folders) > 1 or (folders[0] / "recipe.json").is_file()
    found = tabulate(of_runs(folders)) if are_runs else open_study(folders[0])
    if as_json:
        print_json(found.to_dict())
    elif markdown:
        print_lines(found.markdown())
    else:
        print_study(found)


@study.command()
def figures(
    folder: Folder,
    out: Annotated[Path | None, path_option("Folder for the pictures. Default: figures in the study's folder.")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Also print the whole study as a page of Markdown that shows them.")
    ] = False,
    named: Annotated[bool, typer.Option("--named", help="Only figures to which the plan gives a name.")] = False,
) -> None:
    """Draw the figures of a study's plan, else every seed as a dot and as a curve.

    Results alone are enough, but for figures of runs themselves: these are kept in `files/` once they are drawn.
    """
    from sparring.files import ANOTHER_FOLDER, check_writable
    from sparring.study.drawing import write_figures
    from sparring.study.page import markdown_page
    from sparring.study.table import open_study

    found = open_study(folder)
    check_writable(out := out or folder / "figures", ANOTHER_FOLDER)
    paths = write_figures(found, out, note, named=named)
    print_lines(markdown_page(found, paths)) if markdown else print_lines(*map(str, paths))


def studies(as_json: AsJson = False) -> None:
    """List the studies that ship."""
    from sparring.study.plan import Plan, shipped_plans

    plans = {name: Plan.load(name) for name in shipped_plans()}
    if as_json:
        print_json([{"name": name, **plan.to_dict()} for name, plan in plans.items()])
        return
    _print_table(
        ("study", "what", "rows", "seeds", "scales"),
        [(name, p.about, len(p.rows), len(p.seeds), ", ".join(p.scales)) for name, p in plans.items()],
    )


def _print_costs(planned: dict[str, Any]) -> None:
    def shown(value: float | None, digits: str) -> str:
        return "" if value is None else format(value, digits)

    _print_table(
        ("row", "parameters", "steps", "operations a step", "hours"),
        [
            (
                label,
                shown(row["parameters"], ",d"),
                f"{row['steps']:,}",
                shown(row["operations"], ".3g"),
                shown(row["hours"], ".3g"),
            )
            for label, row in planned["rows"].items()
        ],
    )
    print_lines(
        f"{planned['study']} at scale {planned['scale']}: {planned['hours']:.3g} hours for {planned['seeds']} seeds at "
        f"{planned['operations_per_second'] / 1e12:.0f} TFLOP/s, without measuring; nothing was trained"
    )


def print_study(found: StudyTable) -> None:
    console = plain_console()
    for each in found.findings:
        console.print(f"{each.verdict}: {each.says}", style="bold")
        console.print(f"    {each.why}")
    for part in found.sections():
        console.print(f"\n{part.title}", style="bold")
        _print_table(part.columns, part.rows)
        console.print(part.remark, style="dim", end="\n" if part.remark else "")
    for remark in found.notes:
        console.print(f"note: {remark}", style="dim")


def _print_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    from rich.table import Column, Table

    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    plain_console().print(table)
