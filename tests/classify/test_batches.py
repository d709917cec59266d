"""A batch is a function of its step: who is in it, how many negatives, and which crops."""

import torch

from sparring.classify.batches import Batches, augmented
from sparring.classify.data import image_hashes
from sparring.classify.recipe import Augment
from sparring.data.packed import PackedImages, to_uint8


def hashes(images):
    return image_hashes(PackedImages(to_uint8(images)))


def test_on_top_of_the_batch_positives_keep_their_number_and_their_order(recipe, positives, negatives):
    with_negatives = Batches(recipe(**{"negatives.per_batch": 5}), positives, negatives)
    without = Batches(recipe(criterion="baseline"), positives, None)
    for step in (0, 3, 11):
        images, target = with_negatives.at(step)
        assert images.shape == (17, 3, 8, 8) and target[12:].tolist() == [-1] * 5
        plain, labels = without.at(step)
        assert torch.equal(images[:12], plain) and torch.equal(target[:12], labels)
        assert set(hashes(images[12:])) <= set(image_hashes(negatives))


def test_inside_the_batch_negatives_take_places(recipe, positives, negatives):
    batches = Batches(recipe(**{"negatives.per_batch": 5, "negatives.placement": "inside"}), positives, negatives)
    images, target = batches.at(2)
    assert images.shape[0] == 12 and (target >= 0).sum() == 7 and (target < 0).sum() == 5


def test_every_image_comes_once_in_an_epoch(recipe, positives, negatives):
    for placement, positives_per_batch in (("on_top", 12), ("inside", 8)):
        batches = Batches(recipe(**{"negatives.placement": placement}), positives, negatives)
        seen, unseen = [], []
        for step in range(60 // positives_per_batch):
            images, target = batches.at(step)
            seen += hashes(images[target >= 0])
            unseen += hashes(images[target < 0])
        whole = len(seen) // 60 * 60
        assert len(set(seen[:whole])) == whole
        assert len(set(unseen[:24])) == min(24, len(unseen))


def test_labels_belong_to_their_images(recipe, positives, negatives):
    of = dict(zip(image_hashes(positives), positives.labels.tolist(), strict=True))
    images, target = Batches(recipe(), positives, negatives).at(7)
    assert [of.get(h, -1) for h in hashes(images)] == target.tolist()


def test_a_range_of_negatives_is_drawn_evenly_and_depends_on_the_step_alone(recipe, positives, negatives):
    batches = Batches(recipe(**{"negatives.per_batch": [2, 5]}), positives, negatives)
    counts = [batches.negatives_at(step) for step in range(400)]
    assert set(counts) == {2, 3, 4, 5} and min(counts.count(n) for n in set(counts)) > 70
    assert counts[:9] == [Batches(batches.recipe, positives, negatives).negatives_at(step) for step in range(9)]
    sizes = [(len(target), int((target < 0).sum())) for _, target in map(batches.at, range(9))]
    assert sizes == [(12 + n, n) for n in counts[:9]]


def test_a_batch_can_be_made_again_out_of_order(recipe, positives, negatives):
    changes = {"augment": {"crop_padding": 2, "flip": True}, "negatives.per_batch": [2, 5]}
    one, other = (Batches(recipe(**changes), positives, negatives) for _ in range(2))
    expected = one.at(9)
    for step in (0, 4):
        other.at(step)
    again = other.at(9)
    assert torch.equal(expected[0], again[0]) and torch.equal(expected[1], again[1])
    different = Batches(recipe(seed=1, **changes), positives, negatives).at(9)
    assert different[0].shape != expected[0].shape or not torch.equal(different[0], expected[0])


def test_crops_are_windows_of_the_image_with_a_black_border():
    images = torch.randint(1, 256, (64, 3, 6, 5), dtype=torch.uint8)
    cropped = augmented(images, Augment(crop_padding=2), "key")
    found = set()
    for image, crop in zip(images, cropped, strict=True):
        canvas = torch.zeros(3, 10, 9, dtype=torch.uint8)
        canvas[:, 2:8, 2:7] = image
        places = [(y, x) for y in range(5) for x in range(5) if torch.equal(canvas[:, y : y + 6, x : x + 5], crop)]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) > 15  # of 25


def test_mirror_images_are_half_of_them_and_the_original_is_left_alone():
    images = torch.arange(100 * 6, dtype=torch.uint8).view(100, 1, 2, 3)
    before = images.clone()
    flipped = augmented(images, Augment(flip=True), "key")
    mirrored = torch.tensor([torch.equal(f, i.flip(2)) for f, i in zip(flipped, images, strict=True)])
    same = torch.tensor([torch.equal(f, i) for f, i in zip(flipped, images, strict=True)])
    assert bool((mirrored | same).all()) and 35 < int(mirrored.sum()) < 65 and torch.equal(images, before)


def test_without_augmentation_nothing_is_changed():
    images = torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8)
    assert augmented(images, Augment(), "key") is images
