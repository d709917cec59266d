"""The embedded extractor: what its file states, that batching and global state do not matter, and what it refuses."""

import hashlib

import pytest
import torch
from torch.nn import functional as F

from sparring.data import load
from sparring.errors import SparringError
from sparring.evaluation.extractors.base import Extractor
from sparring.evaluation.extractors.fashion import WEIGHTS, FashionExtractor, FashionNet


@pytest.fixture(scope="module")
def extractor():
    return FashionExtractor()


def noise(n, *shape):
    return torch.randint(0, 256, (n, *(shape or (1, 32, 32))), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def test_it_says_what_it_is(extractor):
    assert isinstance(extractor, Extractor)
    assert extractor.name == "fashion"
    assert extractor.weights_sha256 == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert len(extractor.class_names) == 10 and extractor.class_names[1] == "trouser"
    assert float(extractor.metadata["accuracy_10000_test"]) >= 0.91
    assert "60,000" in extractor.metadata["trained_on"]
    assert WEIGHTS.stat().st_size < 400_000


def test_features_and_logits_are_the_networks_by_hand(extractor):
    images = noise(3)
    x = images.double() / 127.5 - 1
    for stage, stride in zip(extractor.net.stages, (1, 2, 1, 2, 1, 2), strict=True):
        x = F.conv2d(x, stage[0].weight.double(), stage[0].bias.double(), stride, padding=1).clamp(min=0)
    features = x.mean(dim=(2, 3))
    logits = features @ extractor.net.classify.weight.double().T + extractor.net.classify.bias.double()
    got = extractor(images)
    assert got.features.shape == (3, extractor.dimensions) and got.features.dtype == torch.float32
    torch.testing.assert_close(got.features.double(), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.logits.double(), logits, rtol=1e-4, atol=1e-4)


def test_answers_do_not_depend_on_batching(extractor):
    images = noise(13)
    whole = extractor(images)
    for size in (1, 5):
        parts = extractor(images, batch_size=size)
        torch.testing.assert_close(parts.features, whole.features, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-5, atol=1e-5)


def test_making_and_using_it_leaves_global_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.is_grad_enabled(), torch.get_default_dtype()
    extractor = FashionExtractor()
    images = noise(2)
    kept = images.clone()
    out = extractor(images)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == before[1:]
    assert torch.equal(images, kept)
    assert not out.features.requires_grad


def test_folded_batch_norm_is_the_trained_network():
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    torch.manual_seed(0)
    trained = FashionNet(batch_norm=True)
    images = torch.randn(8, 1, 32, 32)
    trained(images * 2 + 1)
    trained.eval()
    want, want_logits = trained(images)
    for stage in trained.stages:
        stage[0], stage[1] = fuse_conv_bn_eval(stage[0], stage[1]), torch.nn.Identity()
    plain = FashionNet()
    plain.load_state_dict(trained.state_dict())
    got, logits = plain(images)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, want_logits, rtol=1e-4, atol=1e-5)


def test_other_images_are_refused_with_the_cure(extractor):
    with pytest.raises(SparringError, match="3x32x32: choose another extractor"):
        extractor(noise(2, 3, 32, 32))
    with pytest.raises(SparringError, match="1x28x28"):
        extractor(noise(2, 1, 28, 28))
    with pytest.raises(SparringError, match="uint8"):
        extractor(torch.zeros(2, 1, 32, 32))
    with pytest.raises(SparringError, match="uint8"):
        extractor(noise(1)[0])


def test_the_stated_accuracy_on_the_embedded_test_split_is_true(extractor):
    data = load("fashion-mnist-10k", split="test")
    assert tuple(data.class_names) == extractor.class_names
    found = (extractor(data.images).logits.argmax(1) == data.labels).double().mean().item()
    assert found == pytest.approx(float(extractor.metadata["accuracy_embedded_test_split"]), abs=6e-4)
