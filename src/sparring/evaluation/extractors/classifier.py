"""A classifier trained here as an extractor: its logits, and as features what its last linear layer reads."""

from pathlib import Path

import torch
from torch import Tensor, nn

from sparring.classify.saved import SavedClassifier, load_classifier
from sparring.data.packed import to_float
from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Features, NetworkExtractor
from sparring.evaluation.extractors.registry import own_name


class ClassifierExtractor(NetworkExtractor):
    """Features [N, d] and logits of the classes [N, K] for uint8 images of the size that the classifier was trained on.

    Logits of an extra class of negatives are left out. Raises SparringError for a classifier without a linear layer.
    """

    colour = False
    cacheable = True
    batch_size = 250

    def __init__(self, path: Path | str, device: torch.device | str = "cpu") -> None:
        self.saved: SavedClassifier = load_classifier(path, device)
        self.net, self.device = self.saved.module, torch.device(device)
        folder = Path(path)
        self.name = own_name((folder if folder.is_dir() else folder.parent).resolve().name)
        self.weights_sha256 = str(self.saved.description["weights_sha256"])
        self.shape = (self.saved.image_channels, self.saved.image_size, self.saved.image_size)
        self.resize = f"none ({'x'.join(map(str, self.shape))} only)"
        self.class_names = self.saved.class_names
        linear = [layer for layer in self.net.modules() if isinstance(layer, nn.Linear)]
        if not linear:
            raise SparringError(f"the classifier {path} has no linear layer whose input could be its features")
        self.dimensions = linear[-1].in_features
        self._last = linear[-1]

    def see(self, images: Tensor) -> Features:
        if images.shape[1:] != self.shape:
            raise SparringError(
                f"the classifier {self.name} was trained on images of {'x'.join(map(str, self.shape))}, got "
                f"{'x'.join(map(str, images.shape[1:]))}: choose another extractor, or load the images with its size"
            )
        kept: list[Tensor] = []
        hook = self._last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            logits = self.net(to_float(images).contiguous(memory_format=torch.channels_last))
        finally:
            hook.remove()
        return Features(kept[-1], logits[:, : self.saved.num_classes])
