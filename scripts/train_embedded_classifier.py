"""Train the classifier behind fashion-FD and fashion-IS, which ships with the package.

    python scripts/train_embedded_classifier.py --data FOLDER

FOLDER holds Fashion-MNIST's four idx files (Debian's package dataset-fashion-mnist puts them in
/usr/share/datasets/fashion-mnist). Training uses only its 60,000 training images: the embedded 10,000 are the test split.
Takes ten minutes on one core. The same seed, number of threads and torch version give the same file.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sparring.data import load, read_idx
from sparring.evaluation.extractors.fashion import CLASS_NAMES, WEIGHTS, FashionExtractor, FashionNet
from sparring.randomness import generator_for, seed_global_generators

BATCH_SIZE = 128
PEAK_RATE = 3e-3  # learning rate of AdamW, reached after a tenth of the steps, then decayed to 0 by a cosine


def read_split(folder: Path, prefix: str) -> tuple[Tensor, Tensor]:
    """Images [N, 1, 32, 32] uint8, padded with two black pixels on each side like the embedded data, and labels [N]."""
    images = torch.as_tensor(read_idx(folder / f"{prefix}-images-idx3-ubyte.gz"))
    labels = torch.as_tensor(read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz"))
    return F.pad(images[:, None], (2, 2, 2, 2)), labels.long()


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """A batch, randomly flipped and shifted by up to two pixels. Rolling shifts here, because the border is black."""
    down, right, mirror = torch.randint(-2, 3, (3,), generator=generator).tolist()
    images = images.roll((down, right), dims=(2, 3))
    return images.flip(3) if mirror > 0 else images


def train(images: Tensor, labels: Tensor, epochs: int, seed: int) -> FashionNet:
    """The trained network, with batch norm folded into the convolutions."""
    seed_global_generators(seed, "embedded classifier")
    net = FashionNet(batch_norm=True).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    per_epoch = len(images) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, epochs * per_epoch, pct_start=0.1)
    start = time.perf_counter()
    for epoch in range(epochs):
        generator = generator_for(seed, "embedded classifier", epoch)
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for rows in order[: per_epoch * BATCH_SIZE].split(BATCH_SIZE):
            batch = augmented(images[rows], generator).float() / 127.5 - 1
            _, logits = net(batch.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(
            f"epoch {epoch + 1}/{epochs}: loss {total / per_epoch:.4f}, {time.perf_counter() - start:.0f} s", flush=True
        )
    net.eval()
    for stage in net.stages:
        stage[0], stage[1] = fuse_conv_bn_eval(stage[0], stage[1]), nn.Identity()
    return net


def accuracy(extractor: FashionExtractor, images: Tensor, labels: Tensor) -> float:
    """The accuracy on images [N, 1, 32, 32]."""
    return (extractor(images).logits.argmax(1) == labels).double().mean().item()


def write(net: FashionNet, data: Path, out: Path, recipe: str) -> None:
    """Save the weights in float16, with metadata that includes the accuracy of the stored weights."""
    tensors = {key: value.half().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, out)
    extractor = FashionExtractor(weights=out)
    held_out = load("fashion-mnist-10k", split="test")
    metadata = {
        "architecture": "six 3x3 convolutions, mean over space, linear; see FashionNet",
        "classes": ", ".join(CLASS_NAMES),
        "trained_on": "Fashion-MNIST train, 60,000 images, padded to 32x32",
        "accuracy_10000_test": f"{accuracy(extractor, *read_split(data, 't10k')):.4f}",
        "accuracy_embedded_test_split": f"{accuracy(extractor, held_out.images, held_out.labels):.4f}",
        "recipe": recipe,
    }
    # safetensors writes metadata entries in an order that varies between runs. A single entry keeps the file the same.
    save_file(tensors, out, metadata={"sparring": json.dumps(metadata)})
    out.chmod(0o644)
    print(f"{out}: {out.stat().st_size} bytes")
    for key, value in metadata.items():
        print(f"  {key}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the four idx files")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="number of threads; the last bits depend on it")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    net = train(*read_split(arguments.data, "train"), arguments.epochs, arguments.seed)
    recipe = (
        f"epochs {arguments.epochs}, batch {BATCH_SIZE}, AdamW, peak rate {PEAK_RATE}, seed {arguments.seed}, "
        f"threads {arguments.threads}, torch {torch.__version__}"
    )
    write(net, arguments.data, arguments.out, recipe)


if __name__ == "__main__":
    main()
