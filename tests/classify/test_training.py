"""ClassifierJob against longhand steps, and runs that are cut anywhere and end in the same bits."""

import pytest
import torch
from tiny_classifiers import TINY
from torch import nn

from sparring.classify.data import load_classifier_data
from sparring.classify.job import ClassifierJob
from sparring.classify.nat_loss import NATLoss
from sparring.classify.recipe import ClassifierRecipe
from sparring.errors import SparringError
from sparring.files import TIME_FIELDS, read_rows
from sparring.run.checkpoint import CheckpointFolder
from sparring.run.progress import no_progress

QUIET = {"note": lambda line: None, "make_progress": no_progress}
CHANGES = {"augment": {"crop_padding": 1, "flip": True}, "negatives.per_batch": [2, 6], "log_every": 3}


@pytest.fixture
def data(recipe, positives, tested, negatives):
    return load_classifier_data(recipe(), data=positives, test=tested, negatives=negatives)


def bits(training):
    state = training.state_dict()
    flat = {f"m.{name}": value for name, value in state["modules"].items()}
    flat |= {f"o.{n}.{k}": v for n, values in state["optimizer"].items() for k, v in values.items()}
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in flat.items()}


def same(one, other):
    equal = [torch.equal(torch.as_tensor(value), torch.as_tensor(other[name])) for name, value in one.items()]
    return one.keys() == other.keys() and all(equal)


def rows_of(folder):
    return [{k: v for k, v in row.items() if k not in TIME_FIELDS} for row in read_rows(folder / "log.jsonl")]


def test_steps_equal_sgd_with_momentum_written_out(recipe, data):
    """Positives and negatives in one batch, so that batch norm sees them together; L2 decay; a cosine for the rate."""
    chosen = recipe(**{"criterion": {"kind": "nat", "neg_weight": 0.5}, "steps": 4, "optimizer.weight_decay": 1e-3})
    training = ClassifierJob(chosen, chosen.criterion, data)
    longhand = ClassifierJob(chosen, chosen.criterion, data)
    network = longhand.classifier.train()
    parameters = list(network.parameters())
    momenta = [torch.zeros_like(p) for p in parameters]
    training.classifier.train()
    for step, rate in enumerate([0.05, 0.05 * (1 + 2**-0.5) / 2, 0.025, 0.05 * (1 - 2**-0.5) / 2]):
        images, target = longhand.batches.at(step)
        assert (target < 0).sum() == 4
        log_p = network(images).log_softmax(1)
        each = [
            -log_p[i, y] if y >= 0 else 0.5 * (-log_p[i].mean() - torch.log(torch.tensor(3.0)))
            for i, y in enumerate(target.tolist())
        ]
        gradients = torch.autograd.grad(torch.stack(each).mean(), parameters)
        with torch.no_grad():
            for p, m, g in zip(parameters, momenta, gradients, strict=True):
                m.mul_(0.9).add_(g + 1e-3 * p)
                p -= rate * m
        training.train_step()
    for ours, theirs in zip(training.classifier.parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-6)


def test_an_extra_class_learns_the_negatives_as_the_last_class(recipe, data):
    chosen = recipe(criterion="extra_class")
    training = ClassifierJob(chosen, chosen.criterion, data)
    assert training.outputs == 4
    images, target = training.batches.at(0)
    loss = training.criterion(training.classifier(images), target)
    expected = nn.functional.cross_entropy(training.classifier(images), torch.where(target < 0, 3, target))
    torch.testing.assert_close(loss, expected)
    assert target.min() == -1


def test_the_baseline_sees_no_negative(recipe, data):
    chosen = recipe(criterion="baseline")
    training = ClassifierJob(chosen, chosen.criterion, data)
    assert all((training.batches.at(step)[1] >= 0).all() for step in range(6))
    with pytest.raises(SparringError, match="the baseline knows no negatives"):
        training.criterion(torch.zeros(2, 3), torch.tensor([0, -1]))


def test_it_learns_the_classes_and_to_be_unsure_of_negatives(recipe, data):
    chosen = recipe(steps=60, log_every=30)
    training = ClassifierJob(chosen, chosen.criterion, data)
    training.classifier.train()
    for _ in range(5):
        training.train_step()
    early = training.means(regular=True)
    for _ in range(35):
        training.train_step()
    training.means(regular=True)
    for _ in range(20):
        training.train_step()
    late = training.means(regular=True)
    assert late["accuracy"] > 0.95 > early["accuracy"] and late["loss"] < early["loss"]
    assert late["confidence on positives"] > late["confidence on negatives"] + 0.3


class Dropping(nn.Module):
    """A user's network with dropout, and one that draws from the global generator."""

    def __init__(self, *, image_channels: int, num_classes: int):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(image_channels, 4, 3), nn.Linear(4, num_classes)

    def forward(self, images):
        h = nn.functional.dropout(self.conv(images).relu().mean((2, 3)), 0.5, self.training)
        return self.linear(h + torch.rand(()) * self.training)


def test_dropout_and_users_modules_resume_exactly(recipe, data, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "users_classifiers", __import__("sys").modules[__name__])
    chosen = ClassifierRecipe.load({**TINY, "network": "users_classifiers:Dropping"})
    whole = ClassifierJob(chosen, chosen.criterion, data)
    whole.run(tmp_path / "whole", **QUIET)
    half = ClassifierJob(chosen, chosen.criterion, data)
    for _ in range(3):
        half.train_step()
    CheckpointFolder(tmp_path / "half" / "checkpoints").save(3, half.state_dict())
    torch.rand(7)
    resumed = ClassifierJob(chosen, chosen.criterion, data)
    resumed.run(tmp_path / "half", **QUIET)
    assert same(bits(whole), bits(resumed))


def test_a_step_reads_nothing_back_from_the_device(recipe, data, monkeypatch):
    chosen = recipe()
    training = ClassifierJob(chosen, chosen.criterion, data)
    training.train_step()
    training.criterion = lambda logits, target: NATLoss().forward(logits, target)

    def refuse(self, *arguments):
        raise AssertionError("a step waited for the device")

    images = training.batches.at(1)
    monkeypatch.setattr(training.batches, "at", lambda step: images)
    monkeypatch.setattr("sparring.classify.nat_loss.checked_target", lambda logits, target: target)
    for name in ("item", "tolist", "__bool__", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    training.train_step()


def test_a_loss_of_pytorch_oods_trains_too(data, recipe):
    """The gradient is the Entropic Open-Set loss's: NAT and it end in the same classifier."""
    pytest.importorskip("pytorch_ood.loss")
    theirs = recipe(criterion="pytorch_ood.loss:EntropicOpenSetLoss", steps=3)
    ours = recipe(steps=3)
    runs = [ClassifierJob(r, r.criterion, data) for r in (theirs, ours)]
    for training in runs:
        for _ in range(3):
            training.train_step()
    for one, other in zip(*(training.classifier.parameters() for training in runs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
