"""Which rows, latents and labels an update gets, and how ranks and micro-batches share them."""

from __future__ import annotations

import pytest
import torch

from sparring.data import Stream, to_float
from sparring.randomness import generator_for
from sparring.training.feed import Feed
from tiny import tiny_images


def _feed(**changes):
    given = {"batch_size": 8, "generator_batch_size": 8, "latent_size": 3, "seed": 4, "num_classes": 3}
    return Feed(real=tiny_images(20), **{**given, **changes})


def _joined(feeds, *arguments, side=None):
    """The shares of all ranks, one after the other, as (images or latents, labels)."""
    shares = [share for feed in feeds for share in feed.shares(*arguments)]
    parts = [(s.latents, s.fake_labels) if side is None else s.sides[side] for s in shares]
    return torch.cat([p[0] for p in parts]), None if parts[0][1] is None else torch.cat([p[1] for p in parts])


def test_updates_go_through_epoch_after_epoch_of_shuffles():
    feed, source = _feed(), tiny_images(20)
    order = torch.cat([Stream(20, 4, "data", "real").rows(20 * epoch, 20) for epoch in range(2)])
    assert sorted(order[:20].tolist()) == list(range(20))
    for update in range(5):  # 40 rows: two epochs, the third update crosses from one to the other
        images, labels = _joined([feed], "discriminator", update, {"real"}, {}, side="real")
        rows = order[8 * update : 8 * update + 8]
        assert torch.equal(images, to_float(source.images[rows])) and torch.equal(labels, source.labels[rows])


def test_latents_are_normal_and_labels_uniform_and_each_update_has_its_own():
    feed = _feed(generator_batch_size=4000)
    latents, labels = _joined([feed], "generator", 0, {"fake"}, {})
    assert abs(latents.mean()) < 0.05 and abs(latents.std() - 1) < 0.05
    assert (labels.bincount(minlength=3) - 4000 / 3).abs().max() < 150
    wanted = torch.randn(4000, 3, generator=generator_for(4, "latents", "generator", 0))
    assert torch.equal(latents, wanted)
    for other in [("generator", 1), ("discriminator", 0)]:
        assert not torch.equal(_joined([feed], *other, {"fake"}, {})[0][:8], latents[:8])
    assert _joined([_feed(num_classes=0)], "generator", 0, {"fake"}, {})[1] is None


@pytest.mark.parametrize("update", [0, 1, 7])
def test_the_generators_fakes_have_other_labels_than_the_discriminators_in_the_same_update(update):
    feed = _feed(batch_size=64, generator_batch_size=64)
    (_, ours), (_, theirs) = (
        _joined([feed], player, update, {"fake"}, {}) for player in ("generator", "discriminator")
    )
    assert (ours != theirs).float().mean() > 0.4  # 2 of 3 by chance


def test_labels_of_fakes_may_come_in_the_shares_of_the_data():
    pool = torch.tensor([0] * 6 + [2] * 2)
    feed = _feed(generator_batch_size=4000, label_pool=pool)
    _, labels = _joined([feed], "generator", 0, {"fake"}, {})
    assert (labels.bincount(minlength=3) / 4000 - torch.tensor([0.75, 0, 0.25])).abs().max() < 0.03
    _, halves = _joined(
        [_feed(generator_batch_size=4000, label_pool=pool, rank=r, world=2) for r in (0, 1)],
        "generator",
        0,
        {"fake"},
        {},
    )
    assert torch.equal(halves, labels)
    assert not torch.equal(_joined([feed], "generator", 1, {"fake"}, {})[1], labels)


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 4), (2, 2)])
@pytest.mark.parametrize("side", [None, "real", "negative", "unlabelled"])
def test_shares_together_are_the_whole_batch(world, accumulate, side):
    others = {"negatives": tiny_images(7, seed=1), "unlabelled": tiny_images(9, seed=2), "flip": True}
    arguments = ("discriminator", 3, {"real", "fake", "negative", "unlabelled"}, {"negative": 3})
    whole = _joined([_feed(**others)], *arguments, side=side)
    feeds = [_feed(**others, rank=rank, world=world, accumulate=accumulate) for rank in range(world)]
    shared = _joined(feeds, *arguments, side=side)
    assert torch.equal(whole[0], shared[0]) and len(whole[0]) == (3 if side == "negative" else 8)
    if side == "negative":
        assert (whole[1] == -1).all()
    elif side == "unlabelled":
        assert whole[1] is shared[1] is None
    else:
        assert torch.equal(whole[1], shared[1])


def test_flips_mirror_about_half_of_the_images():
    plain, _ = _joined([_feed()], "discriminator", 0, {"real"}, {}, side="real")
    flipped, _ = _joined([_feed(flip=True)], "discriminator", 0, {"real"}, {}, side="real")
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(plain, flipped, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True)) and 0 < sum(mirrored) < 8


def test_the_generator_sees_the_real_batch_of_the_discriminators_last_update():
    feed = _feed()
    seen, _ = _joined([feed], "discriminator", 5, {"real"}, {}, side="real")
    again, _ = _joined([feed], "generator", 2, {"real"}, {}, 5, side="real")
    assert torch.equal(seen, again)
