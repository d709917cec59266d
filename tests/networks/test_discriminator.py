"""The discriminator's heads, and the activations of a pass taken apart."""

import pytest
import torch
from network_formulas import random, scrambled

from sparring.errors import SparringError
from sparring.networks.discriminator import Activations, Discriminator, Head, rows_of
from sparring.networks.spectral import normalised_layers
from sparring.networks.toy import ToyBackbone

SCORE = Head(name="score")
LOGITS = Head(name="class_logits", outputs="num_classes", extra_outputs=1)
SHARED = Head(name="class_logits", outputs="num_classes", shared_with="score")


def build(*heads, conditioning="none", **options):
    backbone = ToyBackbone(dimensions=2, width=5, depth=2)
    named = {head.name: head for head in heads}
    return scrambled(Discriminator(backbone, named, num_classes=3, conditioning=conditioning, **options))


def test_heads_are_linear_in_the_features():
    D, points = build(SCORE, LOGITS), random(4, 2)
    features, blocks = D.backbone(points)
    activations = D.extract(points)
    assert torch.equal(activations.features, features) and len(activations.blocks) == len(blocks) == 2
    score, logits = D.heads["score"], D.heads["class_logits"]
    torch.testing.assert_close(D(points), (features @ score.weight.t() + score.bias)[:, 0])
    torch.testing.assert_close(D.read("class_logits", activations), features @ logits.weight.t() + logits.bias)
    assert logits.weight.shape == (4, 5)
    assert build(LOGITS)(points).shape == (4, 4)  # class logits where no term asks for a score


@pytest.mark.parametrize("conditioning", ["none", "projection"])
def test_heads_are_computed_in_float32_under_autocast(conditioning):
    heads = (SCORE, LOGITS) if conditioning == "none" else (SCORE, SHARED)
    D, points = build(*heads, conditioning=conditioning).float(), random(6, 2).float()
    labels = torch.tensor([2, 0, -1, 2, 1, 1])
    with torch.autocast("cpu", torch.bfloat16):
        activations = D.extract(points, labels)
        found = {head.name: D.read(head.name, activations, labels) for head in heads}
    assert activations.features.dtype == torch.bfloat16
    whole = Activations(activations.features.float())
    for name, output in found.items():
        assert output.dtype == torch.float32 and torch.equal(output, D.read(name, whole, labels))


def test_projection_adds_the_features_product_with_the_class_and_nothing_for_no_class():
    D, points, labels = build(SCORE, conditioning="projection"), random(4, 2), torch.tensor([2, 0, -1, 2])
    features = D.extract(points).features
    for i, label in enumerate(labels):
        expected = features[i] @ D.heads["score"].weight[0] + D.heads["score"].bias[0]
        if label >= 0:
            expected = expected + features[i] @ D.embedding.weight[label]
        torch.testing.assert_close(D(points, labels)[i], expected)


def test_a_shared_head_is_the_class_embedding_itself():
    D, points = build(SCORE, SHARED, conditioning="projection"), random(4, 2)
    activations = D.extract(points)
    torch.testing.assert_close(D.read("class_logits", activations), activations.features @ D.embedding.weight.t())
    assert set(D.heads) == {"score"}


def test_default_heads_are_normalised_as_the_backbone_or_as_asked():
    for kind, clamps in ((None, []), ("exact", [False, False]), ("clamp", [True, True])):
        D = build(SCORE, conditioning="projection", spectral_norm_heads=kind)
        assert [norm.clamp for norm, _ in normalised_layers(D)] == clamps


def test_what_does_not_fit_is_said_in_one_line():
    backbone = ToyBackbone(dimensions=2, width=5)
    with pytest.raises(SparringError, match="the data have none"):
        Discriminator(backbone, {"score": SCORE}, conditioning="projection")
    with pytest.raises(SparringError, match="conditioning=projection"):
        Discriminator(backbone, {"class_logits": SHARED}, num_classes=3)
    with pytest.raises(SparringError, match="pass labels"):
        build(SCORE, conditioning="projection")(random(4, 2))
    with pytest.raises(SparringError, match="no head 'class_logits'"):
        D = build(SCORE)
        D.read("class_logits", D.extract(random(4, 2)))


def test_evidence_splits_and_picks_rows_of_everything():
    features, block, output = random(5, 3), random(5, 2, 4, 4), random(5, 2, seed=1)
    activations = Activations(features, [block], {"extra": output})
    first, second = activations.split([2, 3])
    torch.testing.assert_close(first.features, features[:2])
    torch.testing.assert_close(second.blocks[0], block[2:])
    torch.testing.assert_close(second.outputs["extra"], output[2:])
    assert activations.split([5])[0] is activations
    picked = activations.rows(torch.tensor([3, 3, 0]))
    torch.testing.assert_close(picked.features, features[[3, 3, 0]])
    torch.testing.assert_close(picked.blocks[0], block[[3, 3, 0]])
    torch.testing.assert_close(picked.outputs["extra"], output[[3, 3, 0]])


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("index", [torch.tensor([2, 0, 2]), slice(1, 3)])
def test_rows_of_a_block_have_a_gradient_that_lies_as_the_block_does(memory, index):
    block = torch.randn(4, 3, 2, 5, dtype=torch.float64).to(memory_format=memory).requires_grad_()
    rows = rows_of(block, index)
    weight = torch.randn(rows.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((rows.square() * weight).sum(), block)
    expected = torch.zeros(block.shape, dtype=torch.float64)
    for row, i in enumerate(range(4)[index] if isinstance(index, slice) else index.tolist()):
        assert torch.equal(rows[row], block[i])
        expected[i] += 2 * block[i].detach() * weight[row]
    torch.testing.assert_close(gradient, expected)
    assert gradient.is_contiguous(memory_format=memory)
