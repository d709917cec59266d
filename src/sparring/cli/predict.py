"""`sparring predict` and `sparring export`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson, path_option
from sparring.cli.output import note, print_json, print_lines


def predict(
    classifier: Annotated[str, typer.Argument(help="A classifier's run, or its classifier.safetensors.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGES", help="Image files, folders and zip files.")],
    threshold: Annotated[
        float | None,
        typer.Option(help='Answer "unknown" below this confidence. Default: the classifier\'s own.'),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Report images that cannot be read, and go on.")
    ] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Classify images, or answer "unknown", with a confidence."""
    from sparring.classify.predict import predict as predict_images
    from sparring.cli.classify_tables import print_predictions

    found = predict_images(
        classifier, images, threshold=threshold, skip_unreadable=skip_unreadable, note=note, allow_code=allow_code
    )
    print_json(found) if as_json else print_predictions(found)


def export(
    classifier: Annotated[str, typer.Argument(help="A classifier's run, or its classifier.safetensors.")],
    out: Annotated[Path, path_option("File to write: .safetensors, .pt2 (torch.export) or .onnx.")],
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Export a classifier for use elsewhere, and check that the exported file computes the same logits."""
    from sparring.classify.export import export_classifier

    written = export_classifier(classifier, out, allow_code=allow_code)
    difference = f"logits differ by at most {written['largest_difference']:.1e}"
    print_json(written) if as_json else print_lines(f"{written['out']}  ({written['kind']}, {difference})")
