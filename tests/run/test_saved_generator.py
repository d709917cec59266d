"""What `sparring.load` returns: images of seeds, of one's own latents, of blended classes; its text and its picture."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sparring.data.packed import to_uint8
from sparring.errors import SparringError
from sparring.networks import GENERATORS
from sparring.run.latents import latent
from sparring.run.saved_generator import LONGEST, SavedGenerator
from tiny_generators import saved

SMALL = {"sngan": {"width": 8}, "sngan_cnn": {"width": 4}, "dcgan": {"width": 4}, "sagan": {"width": 4}}
SMALL |= {"toy": {"width": 4}}
SMALL |= {"amgan": {"width": 4}, "autogan": {"width": 8}, "resnet_as": {"width": 8}, "r3gan": {"width": 24}}


def test_every_network_is_tried() -> None:
    assert set(SMALL) == set(GENERATORS)


@pytest.mark.parametrize("kind", SMALL)
def test_the_image_of_a_seed_is_the_first_of_that_seed(kind: str) -> None:
    generator = saved(kind, **SMALL[kind])
    seeds = [5, 100, 2**62] if kind == "amgan" else [5, *range(100, 155), 2**62]  # that samples with batch statistics
    found = generator.sample(seeds=seeds, truncation=1.5)
    for i in (0, 1, -1):
        assert torch.equal(found[i], generator.sample(1, seed=seeds[i], truncation=1.5)[0]), i
    assert kind == "toy" or len(found.unique(dim=0)) > 0.9 * len(seeds)


def test_seeds_are_images_of_their_latents() -> None:
    generator = saved("dcgan", width=4)
    assert torch.equal(generator(generator.latents("5,100", 0.5)), generator.sample(seeds=[5, 100], truncation=0.5))
    assert not torch.equal(generator.sample(seeds=[5, 100], truncation=0.5), generator.sample(seeds=[5, 100]))


class Noisy(nn.Module):
    """Draws noise, and knows three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(6, 12)
        self.table = nn.Embedding(3, 12)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        h = self.map(z) / 4 + self.table(labels) / 4
        return (h + torch.randn_like(h) / 9).tanh().view(-1, 3, 2, 2)


def noisy() -> SavedGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Noisy().requires_grad_(False)
    facts = {"recipe": "r" * 300, "step": 1, "network": {"kind": "m:Noisy", "options": {}}, "given": {}}
    return SavedGenerator(module, facts | {"latent_size": 6, "num_classes": 3, "class_names": []})


@pytest.mark.parametrize(
    "make",
    [noisy, lambda: saved("dcgan", width=4, conditioning="conditional_batch_norm", sampling_statistics="batch")],
    ids=["noise", "batch statistics"],
)
def test_images_that_depend_on_their_place_are_made_apart(make: Any) -> None:
    generator, state = make(), torch.get_rng_state()
    found = generator.sample(seeds=[3, 1, 4], labels=[2, 0, 1])
    alone = [generator.sample(1, seed=seed, labels=label)[0] for seed, label in ((3, 2), (1, 0), (4, 1))]
    assert torch.equal(found, torch.stack(alone)) and torch.equal(torch.get_rng_state(), state)
    z = generator.latents("1-3")
    assert torch.equal(generator(z, [1, 1, 2])[2], generator(z[2:], "2")[0])


def test_own_latents_are_the_networks_images() -> None:
    generator = saved("dcgan", width=4, conditioning="concat")
    z = torch.stack([latent(6, 1, i) for i in range(50)])
    labels = torch.arange(50) % 3
    plain = generator.module(z, labels)
    assert torch.equal(generator(z, labels), to_uint8(plain)) and torch.equal(generator.floats(z, labels), plain)
    assert torch.equal(generator(z.numpy()), generator(z)) and torch.equal(generator(z), generator.sample(50, seed=1))
    assert torch.equal(generator(z[7], "bee"), generator(z.double(), 1)[7:8])
    for wrong in (z[:, :5], z[:0], torch.full((1, 6), float("inf")), "z", None):
        with pytest.raises(SparringError, match="latents"):
            generator(wrong)
    assert generator.module.training is False and not any(p.requires_grad for p in generator.module.parameters())


@pytest.mark.parametrize("conditioning", ["concat", "conditional_batch_norm"])
def test_blended_classes_are_blended_embeddings(conditioning: str) -> None:
    """Written out: a network whose tables have a fourth class, the mixture of the first two."""
    generator = saved("dcgan", width=4, conditioning=conditioning)
    z, weights = generator.latents("1-3"), torch.tensor([[1.0, 0, 0], [0.25, 0.75, 0], [0, 0, 1]])
    mixed = copy.deepcopy(generator.module)
    for each in mixed.modules():
        if isinstance(each, nn.Embedding):
            mixture = 0.25 * each.weight[:1] + 0.75 * each.weight[1:2]
            each.weight = nn.Parameter(torch.cat([each.weight, mixture]), requires_grad=False)
    found = generator.floats(z, weights)
    torch.testing.assert_close(found, mixed(z, torch.tensor([0, 3, 2])), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[[0, 2]], generator.floats(z, [0, 1, 2])[[0, 2]], rtol=0, atol=1e-5)
    assert float((found[1] - generator.floats(z, [0, 0, 0])[1]).abs().max()) > 0.01
    for wrong in (weights[:2], weights[:, :2], weights * float("nan")):
        with pytest.raises(SparringError, match=r"weights of classes are finite numbers \[3, 3\]"):
            generator(z, wrong)
    other = noisy()
    with pytest.raises(SparringError, match="does not blend classes"):
        other(z, weights)


def test_it_says_what_it_is_in_a_line_and_shows_itself() -> None:
    generator = saved("dcgan", width=4, conditioning="concat")
    assert repr(generator) == "SavedGenerator(tiny, step 3: dcgan, 3x32x32, 6 latents, 3 classes)"
    assert len(repr(noisy())) == LONGEST and "\n" not in repr(noisy())
    content = generator._repr_png_()
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG" and np.asarray(picture).std() > 1
    assert saved("toy")._repr_png_() is None


def test_classes_are_named_in_one_text() -> None:
    generator = saved("dcgan", width=4, conditioning="concat")
    assert generator.classes_in("cat") == [2] and generator.classes_in("cat, 0,bee") == [2, 0, 1]
    generator.description["class_names"][0] = "a,b"
    assert generator.classes_in("a,b") == [0]
    with pytest.raises(SparringError, match="did you mean 'bee'"):
        generator.classes_in("cat,beee")
