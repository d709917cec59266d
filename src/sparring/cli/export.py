"""`sparring export`. Heavy imports stay inside the function, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, path_option
from sparring.cli.output import print_json, print_lines


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run, a shared folder, or a generator's or classifier's .safetensors."),
    ],
    format: Annotated[
        str | None, typer.Option(help="onnx or torch (torch.export). Default: by the ending of --out.")
    ] = None,
    out: Annotated[
        Path | None,
        path_option(
            "File to write: .onnx, .pt2 (torch.export) or, for a classifier, .safetensors. Default: generator.onnx or the "
            "like in the run's folder."
        ),
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Export a generator or a classifier for use without sparring: `sparring export runs/mine --format onnx`.

    The written file is run at once, and kept only if it computes the same numbers.
    """
    from sparring.studio.export import export as write

    written = write(model, out, format=format, allow_code=allow_code)
    difference = f"differs by at most {written['largest_difference']:.1e}"
    print_json(written) if as_json else print_lines(f"{written['out']}  ({written['kind']}, {difference})")
