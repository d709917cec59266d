"""`sparring bench`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, Device, Overrides, RecipeArgument, group
from sparring.cli.output import note, print_json, print_lines

bench = group("Time this library against textbook implementations: `sparring bench step quickstart`.")


@bench.command(name="step")
def bench_step(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    iterations: Annotated[
        int, typer.Option(help="Number of paired measurements of this library and the textbook.")
    ] = 20,
    at: Annotated[int | None, typer.Option(help="Evaluate schedules at this step. Default: late in the run.")] = None,
    device: Device = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Time a training step on synthetic data against a textbook implementation of the same recipe."""
    from sparring.bench.step import bench_step as measure

    found = measure(
        recipe, overrides or [], iterations=iterations, at=at, device=device, note=note, allow_code=allow_code
    )
    if as_json:
        print_json(found)
        return
    print_lines(
        f"ours       {found['ours_ms']:.1f} ms per step, {found['ours_gflops']:.3g} GFLOP",
        f"textbook   {found['textbook_ms']:.1f} ms per step, {found['textbook_gflops']:.3g} GFLOP",
        f"ratio      {found['ratio']:.2f} (quartiles {found['ratio_low']:.2f} to {found['ratio_high']:.2f})",
    )


@bench.command(name="kernels")
def bench_kernels(
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = 16,
    pairs: Annotated[int, typer.Option(help="Number of paired measurements of each shape.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Time the fast form of each kind of layer against its plain form on this CPU; see sparring.networks.kernels."""
    from sparring.bench.kernels import bench_kernels as measure

    for row in measure(batch_size=batch_size, pairs=pairs):
        if as_json:
            print_json(row)
            continue
        spread = f"{row['ratio']:.2f} (quartiles {row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        print_lines(f"{row['instructions']}  {row['kernel']:<20} {row['side']:>2} x {row['channels']:<4} {spread}")
