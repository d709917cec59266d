"""A module or a TorchScript file as an extractor, and what is said of those that cannot be one."""

import hashlib
import warnings
import zipfile

import pytest
import torch
from torch import nn

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.evaluation.engine import evaluate_images
from sparring.evaluation.extractors import extractor_for
from sparring.evaluation.extractors.base import Features
from sparring.evaluation.extractors.module import ModuleExtractor
from sparring.metrics.names import metric_name


def pictures(n=6, channels=3, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


REAL = PackedImages(pictures(), name="pictures")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.norm(x)) * 2


def test_any_module_serves_and_is_as_it_was():
    net = Net()
    net.drop.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = extractor_for(net, REAL)
    features, logits = found(REAL.images)
    want = 2 * (REAL.images / 127.5 - 1).mean((2, 3)) / (1 + 1e-5) ** 0.5  # running statistics of a new batch norm
    torch.testing.assert_close(features, want, rtol=1e-5, atol=1e-6)
    assert logits is None and found.dimensions == 3 and found.class_names is None
    assert net.training and net.norm.training and not net.drop.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert extractor_for(Net(), REAL).weights_sha256 == found.weights_sha256
    net.norm.weight.data += 1
    assert extractor_for(net, REAL).weights_sha256 != found.weights_sha256


def test_a_torchscript_file_serves_under_its_own_name(tmp_path):
    path = tmp_path / "inception.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Pair().eval(), torch.zeros(2, 3, 8, 8)).save(path)
    found = extractor_for(str(path), REAL)
    features, logits = found(REAL.images)
    torch.testing.assert_close(features, (REAL.images / 127.5 - 1).flatten(1)[:, :5])
    assert logits.shape == (6, 2) and found.class_names == ("0", "1")
    assert metric_name(found.name, "FD") == "own-inception.pt-FD"
    assert found.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


class Broken(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        if self.error:
            raise self.error
        return x.flatten(1)[:, :4], x.flatten(1)[:, :3] * float("nan")


def test_what_a_module_gets_wrong_is_said_in_one_line():
    for error in (KeyError("layer"), AssertionError(), RuntimeError("sizes\ndiffer")):
        with pytest.raises(SparringError, match=r"the extractor Broken does not take images of 3x8x8: ") as caught:
            extractor_for(Broken(error), REAL)
        assert "\n" not in str(caught.value)
    found = extractor_for(Broken(None), REAL)
    with pytest.raises(SparringError, match="the Broken extractor gives NaN or infinite logits, first for image 0"):
        found(REAL.images)


def test_a_torchscript_file_that_cannot_be_loaded_is_no_other_file(tmp_path):
    whole, path = tmp_path / "whole.pt", tmp_path / "part.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Net().eval(), torch.zeros(2, 3, 8, 8)).save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if not name.endswith("data.pkl"):
                new.writestr(name, old.read(name))
    with pytest.raises(SparringError, match=r"is a TorchScript file that cannot be loaded here: \w") as caught:
        extractor_for(str(path), REAL)
    assert "miniz" not in str(caught.value) and "\n" not in str(caught.value)


class Returns(nn.Module):
    """Features [N, 4], and as logits what it is told to make of them; after the trial, perhaps something else."""

    def __init__(self, first, later=None):
        super().__init__()
        self.makes = [first, later or first]

    def forward(self, x):
        features = x.flatten(1)[:, :4]
        return features, self.makes[len(x) > 2](features)


WRONG_LOGITS = {
    "vector": lambda f: f[:, 0],
    "list": lambda f: [f],
    "number": lambda f: 3,
    "rows": lambda f: f[:1],
    "integers": lambda f: f.long(),
    "volume": lambda f: f[:, :, None].expand(-1, -1, 3),
    "no class": lambda f: f[:, :0],
}


@pytest.mark.parametrize("wrong", WRONG_LOGITS)
def test_logits_of_another_form_are_refused_at_once_and_on_every_batch(wrong):
    said = (
        r"^(logits of the extractor Returns must be a float tensor|the extractor Returns must return logits) \[N, K\]"
    )
    with pytest.raises(SparringError, match=said):
        ModuleExtractor(Returns(WRONG_LOGITS[wrong]), REAL.images)
    later = ModuleExtractor(Returns(lambda f: f, WRONG_LOGITS[wrong]), REAL.images)
    with pytest.raises(SparringError, match=said):
        later(REAL.images)


@pytest.mark.parametrize(
    ("first", "later", "widths"),
    [
        (lambda f: f, lambda f: f[:, :2], r"\[4, 4\], then \[4, 2\]"),
        (lambda f: f, lambda f: None, r"\[4, 4\], then \[4\]"),
        (lambda f: None, lambda f: f, r"\[4\], then \[4, 4\]"),
    ],
)
def test_each_batch_has_the_features_and_logits_of_the_first(first, later, widths):
    found = ModuleExtractor(Returns(first, later), REAL.images)
    with pytest.raises(SparringError, match=f"as many features and logits for each batch, got {widths}"):
        found(REAL.images)


def test_features_of_whole_numbers_or_none_are_refused_at_once():
    for wrong, got in ((lambda x: x.flatten(1).long(), r"int64 \[2, 192\]"), (lambda x: x[:, :0], r"float32 \[2, 0\]")):
        net = nn.Flatten()
        net.forward = wrong
        with pytest.raises(
            SparringError, match=rf"features of the extractor Flatten must be a float .* got torch\.{got}"
        ):
            ModuleExtractor(net, REAL.images)


def test_class_names_are_as_many_as_logits_or_left_out():
    net = Returns(lambda f: f)
    assert ModuleExtractor(net, REAL.images).class_names == ("0", "1", "2", "3")
    assert ModuleExtractor(net, REAL.images, class_names=tuple("abcd")).class_names == ("a", "b", "c", "d")
    for wrong in (("a", "b"), tuple("abcdefgh"), (), True, "abcd"):
        with pytest.raises(SparringError, match=r"as many names as it returns logits, 4, got .*: leave them out"):
            ModuleExtractor(net, REAL.images, class_names=wrong)
    with pytest.raises(SparringError, match="as many names as it returns logits, 0, got"):
        ModuleExtractor(Net(), REAL.images, class_names=("a",))


@pytest.mark.parametrize("name", ["inception", "Fashion-2", "efficientnet-lite0"])
def test_an_object_of_ones_own_cannot_take_a_name_of_the_librarys(name):
    class Mine:
        weights_sha256, resize, dimensions, class_names = "x", "none", 3, None

        def __call__(self, images):
            return Features(images.float().mean((2, 3)))

    mine = Mine()
    mine.name = name
    wrong = f"cannot be called '{name}', which is a reserved name: call it 'own-{name}'"
    with pytest.raises(SparringError, match=wrong):
        extractor_for(mine, REAL)
    with pytest.raises(SparringError, match=wrong):
        evaluate_images(lambda i, k: REAL.images[i : i + k], REAL, extractor=mine, n=6, metrics=("fd",))
    mine.name = f"own-{name}"
    assert extractor_for(mine, REAL) is mine


def test_a_frozen_torchscript_file_serves(tmp_path):
    path = tmp_path / "frozen.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.freeze(torch.jit.trace(Net().eval(), torch.zeros(2, 3, 8, 8))).save(path)
    found = extractor_for(str(path), REAL)
    want = extractor_for(Net(), REAL)(REAL.images).features
    torch.testing.assert_close(found(REAL.images).features, want)


@pytest.mark.parametrize("choice", ["fashion", "script.pt", Net(), None])
def test_weights_with_another_hash_are_refused_wherever_they_come_from(tmp_path, monkeypatch, choice):
    monkeypatch.chdir(tmp_path)
    real = PackedImages(pictures(channels=1, side=32), class_names=("bag",)) if choice in ("fashion", None) else REAL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Net().eval(), torch.zeros(2, 3, 8, 8)).save("script.pt")
    found = extractor_for(choice, real)
    assert extractor_for(choice, real, sha256=found.weights_sha256.upper()).name == found.name
    with pytest.raises(SparringError, match=r"sha256 .*, not 0abc"):
        extractor_for(choice, real, sha256="0abc")


class Pair(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :5], x.flatten(1)[:, :2]


def test_users_mistakes_are_named(tmp_path):
    with pytest.raises(SparringError, match="unknown extractor 'inceptoin': did you mean 'inception'"):
        extractor_for("inceptoin", REAL)
    with pytest.raises(SparringError, match="there is no extractor"):
        extractor_for("nets/mine.pt", REAL)
    (tmp_path / "text.pt").write_text("no script")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    (tmp_path / "empty.pt").touch()
    for name in ("text.pt", "state.pt", "empty.pt"):
        with pytest.raises(SparringError, match=r"is not a TorchScript file: save one with .*\.save\(path\)$"):
            extractor_for(str(tmp_path / name), REAL)
    with pytest.raises(SparringError, match="leave weights out"):
        extractor_for("fashion", REAL, weights="x")
    with pytest.raises(SparringError, match="name it"):
        extractor_for(None, REAL, weights="x")
    with pytest.raises(SparringError, match=r"must return features \[N, d\].*got \[2\]"):
        extractor_for(Sums(), REAL)
    with pytest.raises(SparringError, match="does not take images of 3x8x8"):
        extractor_for(nn.Linear(5, 2), REAL)
    broken = ModuleExtractor(Nans(), REAL.images)
    with pytest.raises(SparringError, match="NaN or infinite features, first for image 2"):
        broken(REAL.images)
    with pytest.raises(SparringError, match="takes uint8 images"):
        broken(REAL.images.float())


class Sums(nn.Module):
    def forward(self, x):
        return x.sum((1, 2, 3))


class Nans(nn.Module):
    def forward(self, x):
        features = x.flatten(1)[:, :4].clone()
        if len(x) > 2:
            features[2, 1] = float("nan")
        return features
