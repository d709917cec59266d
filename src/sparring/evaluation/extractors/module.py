"""Uses any network as an extractor: an `nn.Module` from Python, or a TorchScript file.

It is called with images [N, C, H, W], float32 in [-1, 1], and returns features, or a pair of features and class logits
[N, K], all floats. Features with more than two dimensions are averaged over space. Numbers are named after the network.
"""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.archives import check_tensor_archive
from sparring.data.packed import to_float
from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Features, NetworkExtractor, read_weights
from sparring.evaluation.extractors.registry import own_name
from sparring.files import content_hash
from sparring.metrics.features import check_matrix
from sparring.networks.frozen import evaluating


class ModuleExtractor(NetworkExtractor):
    """Features of a module. Its mode, its buffers and the global random numbers are left unchanged.

    name            the name in results, such as "mine" in "mine-FD"
    image_size      the side to which images are resized (bilinear, antialiased); None: they are not resized
    weights_sha256  of its file; None: a hash of its state, which does not cover its code, so that no statistics are cached
    class_names     one name per logit; None: numbers
    example         uint8 images [N, C, H, W] like those to measure, for finding out the sizes of the results

    Raises SparringError if the module returns anything else, also for a later batch, or if `class_names` do not fit.
    """

    colour = False
    batch_size = 250

    def __init__(
        self,
        net: nn.Module,
        example: Tensor,
        *,
        name: str | None = None,
        image_size: int | None = None,
        weights_sha256: str | None = None,
        class_names: tuple[str, ...] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.net, self.device, self.image_size = net.to(device), torch.device(device), image_size
        self.name = own_name(name or type(net).__name__)
        self.cacheable = weights_sha256 is not None
        self.weights_sha256 = weights_sha256 or content_hash(dict(net.state_dict()))
        self.resize = "none" if image_size is None else f"{image_size}x{image_size}, bilinear, antialiased"
        self._widths: list[int] = []  # of the features, and of the logits if there are any
        with torch.no_grad():
            self.see(example[:2].to(device))
        self.dimensions = self._widths[0]
        self.class_names = self._names(class_names)

    def see(self, images: Tensor) -> Features:
        x = to_float(images)
        if self.image_size is not None:
            size = (self.image_size, self.image_size)
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
        try:
            with evaluating(self.net), torch.random.fork_rng(devices=[]):
                found = self.net(x)
        except Exception as error:  # code of users can raise anything
            # The end of a TorchScript error is the message.
            reason = " ".join(str(error).split())[-160:] or type(error).__name__
            shape = "x".join(map(str, images.shape[1:]))
            raise SparringError(f"the extractor {self.name} does not take images of {shape}: {reason}") from error
        return self._checked(found, len(images))

    def _checked(self, found: Any, count: int) -> Features:
        pair = found if isinstance(found, tuple | list) else (found, None)
        features, logits = pair if len(pair) == 2 else (None, None)
        if not isinstance(features, Tensor) or features.ndim < 2 or len(features) != count:
            got = list(features.shape) if isinstance(features, Tensor) else type(found).__name__
            raise SparringError(
                f"the extractor {self.name} must return features [N, d], or (features, logits), for N images; got {got} "
                f"for {count}"
            )
        check_matrix(features.flatten(1), f"features of the extractor {self.name}")
        if logits is not None:
            check_matrix(logits, f"logits of the extractor {self.name}", "[N, K]")
            if len(logits) != count:
                raise SparringError(
                    f"the extractor {self.name} must return logits [N, K] for N images, got {list(logits.shape)} for {count}"
                )
        seen = Features(features.flatten(2).mean(2) if features.ndim > 2 else features, logits)
        widths = [part.shape[1] for part in seen if part is not None]
        if widths != (self._widths or widths):
            raise SparringError(
                f"the extractor {self.name} must return as many features and logits for each batch, got {self._widths}, "
                f"then {widths}"
            )
        self._widths = widths
        return seen

    def _names(self, given: Any) -> tuple[str, ...] | None:
        count = sum(self._widths[1:])
        if given is None:
            return tuple(map(str, range(count))) or None
        if not isinstance(given, tuple | list) or len(given) != count or not count:
            raise SparringError(
                f"class_names of the extractor {self.name} are a tuple of as many names as it returns logits, {count}, got "
                f"{given!r:.80}: leave them out, and classes are numbered"
            )
        return tuple(given)


def torchscript(path: Path | str, sha256: str | None = None) -> tuple[nn.Module, str]:
    """The module in a TorchScript file, and the file's SHA-256."""
    content, found = read_weights(path, sha256)
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            check_tensor_archive(content, str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated for newer Pythons
            return torch.jit.load(io.BytesIO(content), map_location="cpu"), found  # type: ignore[no-untyped-call]
    except SparringError:
        raise
    except Exception as error:  # torch raises many kinds of errors for damaged files
        if _is_script(content):
            reason = str(error).strip().partition("\n")[0].partition(". ")[0]
            raise SparringError(f"{path} is a TorchScript file that cannot be loaded here: {reason[:160]}") from None
        raise SparringError(
            f"{path} is not a TorchScript file: save one with torch.jit.trace(net, images).save(path)"
        ) from None


def _is_script(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
