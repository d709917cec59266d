"""torchvision's data sets by name. torchvision is an extra: only this file imports it, and only when it is needed."""

import inspect
import os
from pathlib import Path
from typing import Any

from sparring.data.arrays import Conversion, pack_array, pack_dataset
from sparring.data.packed import PackedImages
from sparring.errors import SparringError, nearest, needs
from sparring.files import cache_folder
from sparring.messages import Note, option

# Names that may stand without "torchvision:", lower-case -> torchvision's class.
BARE_NAMES = {
    name.lower(): name
    for name in ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10", "CelebA", "USPS", "GTSRB")
}


def default_root() -> Path:
    """Where torchvision's files are looked for: $SPARRING_DATA, else `torchvision` in the cache folder."""
    folder = os.environ.get("SPARRING_DATA")
    return Path(folder).expanduser() if folder else cache_folder() / "torchvision"


def load_torchvision(
    name: str, *, split: str | None, root: Path, download: bool, note: Note, conversion: Conversion
) -> PackedImages:
    """The data set that torchvision calls `name` (in any case), from files under `root`.

    Data sets that hold all their pixels as one array are taken at once, others image by image. Raises SparringError
    if torchvision is missing, or has no such set or split, or the files are not there and `download` is False.
    """
    constructor = _constructor(name)
    name = constructor.__name__
    parameters = inspect.signature(constructor.__init__).parameters
    options: dict[str, Any] = {"root": str(root)}
    if "download" in parameters:
        options["download"] = download
    taken = split or "train"
    if "train" in parameters:
        if taken not in ("train", "test"):
            raise SparringError(f"torchvision's {name} has no split '{taken}', only train, test")
        options["train"] = taken == "train"
    elif "split" in parameters:
        options["split"] = taken
    elif split not in (None, "train"):
        raise SparringError(f"torchvision's {name} has no splits, so no '{split}': leave {option('split')} out")
    try:
        dataset = constructor(**options)
    except (RuntimeError, OSError) as error:
        raise SparringError(
            f"torchvision finds no {name} under '{root}' ({_line(error)}): set SPARRING_DATA to the folder that has it, or "
            f"fetch it with {option('download', True)}"
        ) from error
    except ImportError as error:  # some data sets need one more package to read their files
        raise SparringError(f"torchvision's {name} needs {error.name or error}: pip install {error.name}") from error
    except (ValueError, TypeError) as error:  # an unknown split, or a data set that needs other options
        raise SparringError(f"torchvision refuses {name} with split '{taken}': {_line(error)}") from error
    if split is None and {"train", "split"} & parameters.keys():
        note(f"torchvision's {name} has splits: taking '{taken}'")
    labels = getattr(dataset, "targets", getattr(dataset, "labels", None))
    pixels = getattr(dataset, "data", None)
    if pixels is not None and labels is not None and getattr(pixels, "ndim", 0) in (3, 4):
        names = getattr(dataset, "classes", ())
        return pack_array(pixels, labels, class_names=names, name=name, split=taken, conversion=conversion)
    return pack_dataset(dataset, name=name, split=taken, conversion=conversion)


def _constructor(name: str) -> Any:
    with needs("torchvision's data sets need torchvision", "torchvision"):
        import torchvision.datasets as datasets
    kinds = {
        key.lower(): getattr(datasets, key)
        for key in datasets.__all__
        if inspect.isclass(getattr(datasets, key)) and issubclass(getattr(datasets, key), datasets.VisionDataset)
    }
    if name.lower() not in kinds:
        raise SparringError(
            f"torchvision has no data set '{name}': {nearest(name, [kind.__name__ for kind in kinds.values()])}"
        )
    return kinds[name.lower()]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
