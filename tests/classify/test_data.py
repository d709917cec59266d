"""What a classifier's run is made of: splits, negatives that are none, probes, and what is suspicious about them."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_classifiers import TINY, pictures

from sparring.classify.data import image_hashes, load_classifier_data, shared_classes, split_off
from sparring.classify.recipe import ClassifierRecipe
from sparring.data.negatives import noise_batch
from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.recipe.gan import Recipe
from sparring.run.data import load_run_data


def load(recipe, notes=None, **given):
    return load_classifier_data(recipe, notes.append if notes is not None else lambda line: None, **given)


def test_a_share_of_each_class_is_held_out_at_places_that_depend_on_the_seed(positives):
    rest, held = split_off(positives, 0.25, 3, "validation")
    assert torch.bincount(held.labels).tolist() == [5, 5, 5] and torch.bincount(rest.labels).tolist() == [15, 15, 15]
    both = sorted(image_hashes(rest) + image_hashes(held))
    assert both == sorted(image_hashes(positives)) and not set(image_hashes(rest)) & set(image_hashes(held))
    assert image_hashes(split_off(positives, 0.25, 3, "validation")[1]) == image_hashes(held)
    assert image_hashes(split_off(positives, 0.25, 4, "validation")[1]) != image_hashes(held)


def test_training_validation_and_test_share_no_image(recipe, positives, negatives):
    notes = []
    data = load(recipe(), notes, data=positives, negatives=negatives)
    sets = [set(image_hashes(part)) for part in (data.train, data.validation, data.test)]
    assert [len(part) for part in sets] == [42, 12, 6]  # a tenth, then a fifth of the rest, of each class
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    assert any("has no test split: a tenth of each class is held out" in note for note in notes)


def test_without_validation_all_is_trained_on(recipe, positives, tested, negatives):
    data = load(recipe(validation=0), data=positives, test=tested, negatives=negatives)
    assert data.validation is None and len(data.train) == 60 and data.test is tested


def test_held_out_classes_serve_as_negatives_and_probes_of_the_same_source():
    demo = ClassifierRecipe.load("nat/demo").to_dict()
    data = load(ClassifierRecipe.load({**demo, "probes": {"boots": {"classes": ["ankle boot"]}}}))
    assert data.train.class_names == ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker")
    assert len(data.train) + len(data.validation) == 6_400 and len(data.test) == 1_600
    assert data.negatives.class_names == ("bag",) and data.negatives.split == "train" and len(data.negatives) == 800
    (boots,) = data.probes
    assert boots.images.split == "test" and len(boots) == 200 and boots.seen == 0 and not data.warnings


def test_negatives_that_contain_a_positive_class_are_warned_of_by_name(recipe, positives):
    notes = []
    wrong = pictures(8, ("bottom", "left"), seed=5, names=["sky", "Left_side"])
    data = load(recipe(), notes, data=positives, negatives=wrong)
    assert data.warnings == (notes[-1],)
    assert "class 'Left_side' of halves looks like the positive class 'left'" in notes[-1]


def test_negatives_that_are_positives_are_found_by_their_pixels(recipe, positives, tested):
    mixed = torch.cat([pictures(10, ("bottom",), seed=2).images, positives.images[25:28], tested.images[:2]])
    notes = []
    data = load(recipe(validation=0), notes, data=positives, test=tested, negatives=PackedImages(mixed))
    assert "3 of 15 images are also training positives, of right" in data.warnings[0]
    assert "2 of 15 images are also test positives, of left" in data.warnings[1]


def test_negatives_and_probes_that_are_positives_of_any_part_are_found(recipe, positives, tested, negatives):
    held = load(recipe(), data=positives, test=tested, negatives=negatives).validation
    others = torch.cat([negatives.images[:10], held.images[:2]])
    line = "2 of 12 images are also validation positives, of left"
    data = load(recipe(), data=positives, test=tested, negatives=PackedImages(others))
    assert data.warnings == (f"negatives: {line}: they would teach it to be unsure of its own classes",)
    data = load(recipe(), data=positives, test=tested, negatives=negatives, probes={"p": PackedImages(others)})
    assert data.warnings == (f"probe 'p': {line}: a probe has images of none of the classes, so leave them out",)
    twice = {"p": PackedImages(torch.cat([positives.images, tested.images[:1]]))}
    data = load(recipe(), data=positives, test=tested, negatives=negatives, probes=twice)
    assert [line.split(", of")[0] for line in data.warnings] == [
        "probe 'p': 48 of 61 images are also training positives",
        "probe 'p': 12 of 61 images are also validation positives",
        "probe 'p': 1 of 61 images are also test positives",
    ]


def test_a_baseline_does_not_look_at_negatives(recipe, positives):
    data = load(recipe(criterion="baseline"), data=positives, negatives=positives)
    assert data.warnings == ()


@pytest.mark.parametrize(
    ("name", "positive", "alike"),
    [
        ("Egyptian cat", "cat", True),
        ("pickup_truck", "truck", True),
        ("trucks", "truck", True),
        ("catamaran", "cat", False),
        ("school bus", "truck", False),
        ("ankle boot", "boot", True),
        ("bass", "bas", False),
        ("PickupTruck", "truck", True),
        ("XBoxes", "box", True),
        ("school buses", "bus", True),
        ("horses", "horse", True),
        ("ponies", "pony", True),
        ("dresses", "dress", True),
        ("cape", "cap", False),
        ("...", "truck", False),
        ("boot", "ankle boot", "may contain"),
        ("truck", "pickup truck", "may contain"),
        ("t-shirt", "T-shirt/top", "may contain"),
        ("sports car", "racing car", False),
    ],
)
def test_names_that_look_alike(name, positive, alike):
    images = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    others = PackedImages(images, torch.tensor([0]), (name,))
    found = shared_classes(others, PackedImages(images, torch.tensor([0]), (positive,)))
    assert bool(found) == bool(alike)
    assert all((alike if isinstance(alike, str) else "looks like") in line for line in found)


def test_a_class_without_images_is_not_warned_of():
    images = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    others = PackedImages(images, torch.tensor([1]), ("cat", "sofa"))
    assert shared_classes(others, PackedImages(images, torch.tensor([0]), ("cat",))) == []


def test_a_probe_says_how_much_of_it_was_seen_in_training(recipe, positives, negatives):
    half = PackedImages(torch.cat([negatives.images[:5], pictures(5, ("bottom",), seed=9).images]))
    data = load(recipe(), data=positives, negatives=negatives, probes={"all": negatives, "half": half})
    assert {probe.name: probe.seen for probe in data.probes} == {"all": 1.0, "half": 0.5}


def test_noise_probes_are_the_networks_input_as_it_is(recipe, positives, negatives):
    data = load(recipe(**{"probes.noise": "noise:normal:50"}), data=positives, negatives=negatives)
    (noise,) = data.probes
    assert torch.equal(noise.images, noise_batch("normal", 50, 3, 8, 0, "probe"))
    assert noise.images.min() < -2 and noise.images.is_floating_point()


def test_noise_can_be_the_negatives(recipe, positives):
    data = load(recipe(**{"negatives.source": "noise:uniform:40"}), data=positives)
    assert data.negatives.images.shape == (40, 3, 8, 8)


def test_sklearns_probes_fit_the_images(recipe, positives, negatives):
    pytest.importorskip("sklearn")
    probes = {"digits": "sklearn:digits", "patches": "sklearn:patches"}
    data = load(recipe(probes=probes), data=positives, negatives=negatives)
    digits, patches = data.probes
    assert digits.images.images.shape == (1_797, 3, 8, 8) and int(digits.images.images.max()) == 255
    assert patches.images.images.shape == (1_000, 3, 8, 8) and patches.images.images.float().std() > 20


def test_a_probe_without_scikit_learn_is_left_out_and_said_so(recipe, positives, negatives, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    notes = []
    data = load(recipe(**{"probes.digits": "sklearn:digits"}), notes, data=positives, negatives=negatives)
    assert data.probes == () and "probe 'digits' is left out: 'sklearn:digits' needs scikit-learn" in data.warnings[0]


def test_a_folder_with_test_split_class_order_and_chosen_classes(tmp_path):
    for split, count in (("train", 6), ("val", 3)):
        for number, wnid in enumerate(("n03", "n01", "n02")):
            folder = tmp_path / "set" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.full((8, 8, 3), 40 * number + i + (10 if split == "val" else 0), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "order.tsv").write_text("n01\tcat\nn02\tdog\nn03\tsofa\n")
    source = {"source": str(tmp_path / "set"), "split": "train", "class_order": str(tmp_path / "order.tsv")}
    recipe = ClassifierRecipe.load(
        TINY,
        {
            "data": {**source, "classes": ["dog", "cat"]},
            "negatives": {"source": None, "classes": ["sofa"], "per_batch": 2},
            "batch_size": 8,
            "validation": 0,
        },
    )
    data = load(recipe)
    assert data.test.split == "val" and torch.bincount(data.test.labels).tolist() == [3, 3]
    assert torch.bincount(data.train.labels).tolist() == [6, 6] and len(data.negatives) == 6
    assert data.train.class_names == ("dog", "cat") and int(data.train.images[data.train.labels == 0].max()) < 90


@pytest.mark.parametrize(
    ("changes", "given", "words"),
    [
        ({}, {"data": PackedImages(torch.zeros(20, 3, 8, 8, dtype=torch.uint8))}, "needs labels"),
        ({}, {"data": pictures(20, ("left",))}, "has 1 class: a classifier needs at least 2"),
        (
            {},
            {"data": PackedImages(pictures(9).images, pictures(9).labels.where(torch.arange(27) > 1, -1))},
            "2 of the 27 images of images have a label below 0",
        ),
        ({"batch_size": 50}, {}, "has 42 images to train on, fewer than the 50 positives of a batch"),
        ({"negatives.per_batch": 25}, {}, "has 24 negatives, fewer than the 25 of a batch"),
        ({"data.num_classes": 4}, {}, "the recipe says data.num_classes=4, and halves has 3"),
        ({}, {"test": pictures(3, ("left", "top"))}, "the test images' classes"),
        (
            {},
            {"test": PackedImages(pictures(3).images, pictures(3).labels + 1)},
            "test labels of images go from 1 to 3",
        ),
        ({"probes": {"a": {"split": "x"}}}, {}, "probes without a source are held-out classes of the data"),
        ({"probes": {"a": "sklearn:digit"}}, {}, "has no probe 'sklearn:digit': did you mean 'digits'"),
        ({"probes": {"a": "noise:nrmal"}}, {}, "did you mean 'normal'"),
        ({"data.size": 8}, {"data": PackedImages(torch.zeros(9, 3, 8, 6, dtype=torch.uint8))}, "needs labels"),
    ],
)
def test_data_that_do_not_fit_are_one_line(changes, given, words, recipe, positives, negatives):
    with pytest.raises(SparringError, match=words) as caught:
        load(recipe(**changes), **{"data": positives, "negatives": negatives, **given})
    assert "\n" not in str(caught.value)


def test_more_negatives_than_positives_is_doubted(recipe, positives, negatives):
    data = load(recipe(**{"negatives.per_batch": 20}), data=positives, negatives=negatives)
    assert "up to 20 negatives beside 12 positives in a batch" in data.warnings[0]


@pytest.mark.parametrize(
    ("relabel", "names", "words"),
    [
        (
            lambda y: y * 2,
            (),
            r"2 of the 5 classes of halves have no image to train on \(1, 3\): .*data\.renumber=true",
        ),
        (lambda y: y + 1, (), r"1 of the 4 classes of halves has no image to train on \(0\): .*data\.renumber=true"),
        (lambda y: y * 10**12, (), r"have no image to train on \(1, 2, 3, \.\.\.\): .*data\.renumber=true"),
        (lambda y: y * 2, tuple("abcde"), r"on \(b, d\): .*data\.renumber=true"),
    ],
)
def test_classes_without_an_image_are_refused(relabel, names, words, recipe, positives, negatives):
    holed = PackedImages(positives.images, relabel(positives.labels), names, "halves")
    with pytest.raises(SparringError, match=words) as caught:
        load(recipe(), data=holed, negatives=negatives)
    assert "\n" not in str(caught.value)


def test_named_classes_without_an_image_go_where_the_others_are_chosen(recipe, positives, negatives):
    holed = PackedImages(positives.images, positives.labels * 2, tuple("abcde"), "halves")
    data = load(recipe(**{"data.classes": ["a", "c", "e"]}), data=holed, negatives=negatives)
    assert data.train.num_classes == 3 and data.train.class_names == ("a", "c", "e")


def test_the_cure_for_an_unreadable_image_is_accepted_by_recipes(recipe, positives, tested, tmp_path):
    for i, pixels in enumerate(pictures(24, ("bottom",)).images):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    (tmp_path / "03.png").write_bytes(b"no image")
    changes = {"negatives.source": str(tmp_path)}
    with pytest.raises(SparringError, match=r"cannot read image '03\.png'.* with negatives\.skip") as unreadable:
        load(recipe(**changes), data=positives, test=tested)
    cure = re.findall(r"(negatives[a-z._]+)=true", str(unreadable.value))
    assert cure == ["negatives.skip_unreadable"]
    assert len(load(recipe(**changes, **{cure[0]: True}), data=positives, test=tested).negatives) == 23


@pytest.fixture
def torchvisions_sets(monkeypatch, tmp_path):
    """Stand-ins for CIFAR-10 and CIFAR-100, which are not there unless fetched; what was fetched, with its split."""
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    fetched = []

    def stand_in(name, classes):
        def __init__(self, root, train=True, download=False):
            if not download:
                raise RuntimeError("Dataset not found")
            fetched.append((name, train))
            self.data = np.random.default_rng(len(fetched)).integers(0, 256, (4 * classes, 8, 8, 3), np.uint8)
            self.targets = list(range(classes)) * 4

        return type(name, (datasets.VisionDataset,), {"__init__": __init__})

    for name, classes in (("CIFAR10", 10), ("CIFAR100", 100)):
        monkeypatch.setattr(datasets, name, stand_in(name, classes))
    return fetched


def test_the_cure_for_missing_data_is_accepted_by_both_kinds_of_recipe(torchvisions_sets):
    gan, classifier = "nat-gan/nat-gan-3-cifar10", "nat/nat-cifar10"
    changes = ["probes.ILSVRC=null", "batch_size=8", "negatives.per_batch=3"]
    with pytest.raises(SparringError, match="finds no CIFAR10") as missing:
        load(ClassifierRecipe.load(classifier, changes))
    assert re.findall(r"[a-z.]+download=true", str(missing.value)) == ["data.download=true"]
    load(ClassifierRecipe.load(classifier, [*changes, "data.download=true"]))
    wanted = {("CIFAR10", True), ("CIFAR10", False), ("CIFAR100", True), ("CIFAR100", False)}
    assert set(torchvisions_sets) == wanted  # data, test images, negatives and probes
    torchvisions_sets.clear()
    with pytest.raises(SparringError, match=r"finds no CIFAR100.* fetch it with negatives\.download=true"):
        load_run_data(Recipe.load(gan, ["data.download=true"]), print)
    load_run_data(Recipe.load(gan, ["data.download=true", "negatives.download=true"]), print)
    assert ("CIFAR10", True) in torchvisions_sets and ("CIFAR100", True) in torchvisions_sets


def test_a_probe_is_fetched_alone_where_it_alone_says_so(torchvisions_sets, recipe, positives, negatives):
    chosen = recipe(**{"probes.others": {"source": "torchvision:CIFAR100", "download": True}})
    assert len(load(chosen, data=positives, negatives=negatives).probes[0]) == 400
    assert torchvisions_sets == [("CIFAR100", True)]
