"""The paper's recipes at its settings, and each stepped, tiny, on fakes in the data sets' official layouts."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.classify.data import load_classifier_data
from sparring.classify.describe import describe_classifier
from sparring.classify.job import ClassifierJob
from sparring.classify.recipe import ClassifierRecipe
from sparring.classify.results import evaluate_classifier
from sparring.recipe.files import shipped_recipes

PAPER = [name for name in shipped_recipes("classifier") if name != "nat/demo"]
ILSVRC = ClassifierRecipe.load("nat/nat-cifar10").probes["ILSVRC"].classes
rng = np.random.default_rng(0)


def write_pickle(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]


def rows(count):
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8)


@pytest.fixture
def official_files(tmp_path, monkeypatch):
    """CIFAR-10, CIFAR-100, SVHN and ILSVRC as their authors pack them, with a few random images each."""
    datasets = pytest.importorskip("torchvision.datasets")
    io = pytest.importorskip("scipy.io")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    ten, hundred = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-100-python"
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    parts = {f"data_batch_{i}": 6 for i in range(1, 6)} | {"test_batch": 10}
    listed = [
        write_pickle(ten / name, {"data": rows(count), "labels": [(i + 5 * part) % 10 for i in range(count)]})
        for part, (name, count) in enumerate(parts.items())
    ]
    meta = write_pickle(ten / "batches.meta", {"label_names": names})[1]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed[:-1])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", listed[-1:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": meta})

    fine = [f"thing_{i}" for i in range(99)] + ["pickup_truck"]
    for split, count in (("train", 70), ("test", 12)):
        entry = write_pickle(hundred / split, {"data": rows(count), "fine_labels": [99 - i for i in range(count)]})
        monkeypatch.setattr(datasets.CIFAR100, f"{split}_list", [entry])
    meta = write_pickle(hundred / "meta", {"fine_label_names": fine})[1]
    monkeypatch.setattr(datasets.CIFAR100, "meta", {**datasets.CIFAR100.meta, "md5": meta})

    splits = {}
    for split in ("train", "test", "extra"):
        path = tmp_path / f"{split}_32x32.mat"
        pixels = rng.integers(0, 256, (32, 32, 3, 30), dtype=np.uint8)
        io.savemat(path, {"X": pixels, "y": np.arange(30, dtype=np.uint8)[:, None] % 10 + 1})
        splits[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", splits)

    for split in ("train", "val"):
        for wnid in [*ILSVRC, "n99999999"]:
            folder = tmp_path / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            picture = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
            picture.save(folder / f"{wnid}_1.JPEG")
    return tmp_path


def test_every_cell_of_tables_1_to_3_has_a_recipe():
    cells = {(r.paper.get("table"), r.paper["row"], r.paper["data"]) for r in map(ClassifierRecipe.load, PAPER)}
    assert cells == {
        (1, "baseline", "CIFAR-10"),
        (1, "NAT", "CIFAR-10"),
        (1, "baseline", "SVHN"),
        (1, "NAT", "SVHN"),
        (2, "8 per batch", "CIFAR-10"),
        (2, "32 per batch", "CIFAR-10"),
        (2, "64 per batch", "CIFAR-10"),
        (3, "CIFAR-10 and ILSVRC", "CIFAR-10"),
        (None, "negatives as an additional class", "CIFAR-10"),
    }


@pytest.mark.parametrize("name", PAPER)
def test_the_setting_is_the_papers(name):
    """ResNet-18, batches of 128, 200 epochs of SGD at 0.1 with momentum 0.9, weight decay 5e-4, padded crops, a cosine."""
    recipe = ClassifierRecipe.load(name)
    o = recipe.optimizer
    assert (o.kind, o.lr, o.momentum, o.weight_decay, o.decay) == ("sgd", 0.1, 0.9, 5e-4, "cosine")
    images = {"torchvision:CIFAR10": 50_000, "torchvision:SVHN": 73_257}[recipe.data.source]
    assert recipe.batch_size == 128 and recipe.most_positives == 128 and recipe.augment.crop_padding == 4
    assert recipe.steps == round(200 * images / 128) and recipe.thresholds == (0.4, 0.6, 0.8, 0.9)
    assert recipe.network.kind == "resnet18" and not recipe.run_in_full and recipe.validation == 0
    assert len(ILSVRC) == len(set(ILSVRC)) == 31
    if recipe.negatives is not None:
        wanted = {"8 per batch": (8, 8), "32 per batch": (32, 32), "64 per batch": (64, 64)}
        assert recipe.negatives.range == wanted.get(recipe.paper["row"], (5, 25))


def test_networks_have_their_real_numbers_of_parameters():
    assert describe_classifier(ClassifierRecipe.load("nat/nat-cifar10"))["parameters"] == 11_173_962
    assert describe_classifier(ClassifierRecipe.load("nat/extra-class-cifar10"))["parameters"] == 11_173_962 + 513


def test_rows_of_a_table_differ_in_one_line():
    def differing(a, b):
        a, b = (ClassifierRecipe.load(name).to_dict() for name in (a, b))
        return {key for key in a if key not in ("name", "about", "paper") and a[key] != b[key]}

    assert differing("nat/nat-cifar10", "nat/baseline-cifar10") == {"criterion", "negatives"}
    assert differing("nat/nat-cifar10", "nat/extra-class-cifar10") == {"criterion"}
    assert differing("nat/nat-8-cifar10", "nat/nat-64-cifar10") == {"negatives"}


@pytest.mark.parametrize("name", PAPER)
def test_each_runs_on_official_files(name, official_files):
    tiny = {"scale": 3e-5, "network.width": 2, "batch_size": 8, "seed": 1, "probes.noise": "noise:normal:9"}
    recipe = ClassifierRecipe.load(name, tiny)
    assert recipe.steps in (2, 3)
    notes = []
    data = load_classifier_data(recipe, notes.append)
    assert len(data.train) == 30 and data.train.num_classes == 10 and data.test.split == "test"
    training = ClassifierJob(recipe, recipe.criterion, data)
    before = {key: value.clone() for key, value in training.classifier.state_dict().items()}
    sizes = []
    for step in range(recipe.steps):
        sizes.append(int((training.batches.at(step)[1] < 0).sum()))
        training.train_step()
    training.check_finite()
    assert any(not torch.equal(v, before[k]) for k, v in training.classifier.state_dict().items() if "weight" in k)
    least, most = recipe.negatives.range if recipe.negatives else (0, 0)
    assert all(least <= size <= most for size in sizes)
    found = evaluate_classifier(training.classifier, data, thresholds=recipe.thresholds, false_alarm_rate=0.05)
    probes = found.numbers["probes"]
    expected = {"CIFAR-100 train": 70, "CIFAR-100 test": 12, "ILSVRC": 31, "noise": 9}
    if recipe.paper.get("table") == 3:
        expected = {"CIFAR-100 test": 12, "ILSVRC": 31, "noise": 9, "ILSVRC train": 31}
    assert {key: probe["n"] for key, probe in probes.items()} == expected
    seen = {key for key, probe in probes.items() if probe["seen_in_training"] == 1.0}
    assert seen == ({"ILSVRC train"} if recipe.paper.get("table") == 3 else {"CIFAR-100 train"} if most else set())
    assert found.numbers["threshold"] is None
    if "cifar10" in name and most and recipe.paper.get("table") != 3:
        assert any("'pickup_truck' of CIFAR100 looks like the positive class 'truck'" in line for line in data.warnings)


def test_torchvisions_sets_are_tested_on_their_test_split_without_being_told(official_files):
    recipe = ClassifierRecipe.load({"data": "cifar10", "criterion": "baseline", "steps": 1, "batch_size": 8})
    notes = []
    data = load_classifier_data(recipe, notes.append)
    assert data.test.split == "test" and len(data.test) == 10 and not any("held out" in note for note in notes)


def test_the_whole_study_of_a_cell_is_named_where_its_data_are_missing(tmp_path, monkeypatch):
    from sparring.errors import SparringError

    pytest.importorskip("torchvision")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    with pytest.raises(SparringError, match="torchvision finds no CIFAR10"):
        load_classifier_data(ClassifierRecipe.load("nat/nat-cifar10"))
