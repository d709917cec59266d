"""A share of each class's labels, chosen by a seed."""

from __future__ import annotations

import pytest
import torch

from sparring.data import PackedImages, keep_share_of_labels, remove_labels, split_labelled
from sparring.errors import SparringError

LABELS = torch.tensor([0] * 10 + [1] * 5 + [2] + [-1] * 4 + [3] * 30)[torch.randperm(50, generator=torch.Generator())]


@pytest.mark.parametrize(
    ("share", "kept"),
    [
        (0.1, [1, 1, 1, 3]),  # 1, 0.5 (halves round up), 0.1 (at least one), 3
        (0.25, [3, 1, 1, 8]),  # 2.5, 1.25, 0.25, 7.5
        (0.5, [5, 3, 1, 15]),
        (1, [10, 5, 1, 30]),
        (1e-9, [1, 1, 1, 1]),
    ],
)
def test_each_class_keeps_its_share(share, kept):
    before = LABELS.clone()
    labels = remove_labels(LABELS, share)
    assert labels[labels >= 0].bincount().tolist() == kept
    assert torch.equal(labels[labels >= 0], LABELS[labels >= 0])  # the kept labels are unchanged
    assert (labels[LABELS < 0] == -1).all() and torch.equal(LABELS, before)


def test_the_choice_is_seeded_and_shares_are_nested():
    assert torch.equal(remove_labels(LABELS, 0.3, 4), remove_labels(LABELS, 0.3, 4))
    assert not torch.equal(remove_labels(LABELS, 0.3, 4), remove_labels(LABELS, 0.3, 5))
    kept = [set((remove_labels(LABELS, share, 4) >= 0).nonzero().flatten().tolist()) for share in (0.1, 0.3, 0.7, 1)]
    assert kept[0] < kept[1] < kept[2] < kept[3]


def test_the_choice_in_a_class_does_not_depend_on_other_classes():
    alone = remove_labels(torch.where(LABELS == 3, 3, -1), 0.3, 4)
    assert torch.equal(alone == 3, remove_labels(LABELS, 0.3, 4) == 3)


def test_choices_in_different_classes_are_independent():
    labels = torch.arange(200) % 2
    kept = [(remove_labels(labels, 0.5)[first::2] >= 0).tolist() for first in (0, 1)]
    assert kept[0] != kept[1]


def packed() -> PackedImages:
    images = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1).repeat(1, 3, 2, 2)
    return PackedImages(images, LABELS, ("a", "b", "c", "d"), "set", "train")


def test_labelled_images_and_the_whole_without_labels():
    data = packed()
    labelled, whole = split_labelled(data)
    assert torch.equal(labelled.images, data.images[LABELS >= 0])
    assert torch.equal(labelled.labels, LABELS[LABELS >= 0])
    assert (labelled.class_names, labelled.name, labelled.split) == (data.class_names, "set", "train")
    assert whole.labels is None and whole.images.data_ptr() == data.images.data_ptr() and len(whole) == 50


def test_keeping_a_share_does_both_at_once():
    labelled, whole = keep_share_of_labels(packed(), 0.1, 3)
    rows = (remove_labels(LABELS, 0.1, 3) >= 0).nonzero().flatten()
    assert labelled.images[:, 0, 0, 0].tolist() == rows.tolist()
    assert torch.equal(labelled.labels, LABELS[rows]) and len(whole) == 50


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_impossible_shares(share):
    with pytest.raises(SparringError, match="the share of labels kept must be above 0 and at most 1, got"):
        remove_labels(LABELS, share)


def test_data_without_labels():
    bare = PackedImages(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), name="bare")
    with pytest.raises(SparringError, match="semi-supervised training needs labels, but 'bare' has none"):
        keep_share_of_labels(bare, 0.5)
    unknown = PackedImages(bare.images, torch.tensor([-1, -1]), name="bare")
    with pytest.raises(SparringError, match="'bare' has no labelled images: all labels are below 0"):
        split_labelled(unknown)
