"""`sparring predict`. Heavy imports stay inside the functions, as in every command."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.options import AllowCode, AsJson
from sparring.cli.output import note, print_json


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
