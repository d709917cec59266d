"""A discriminator's accuracies, against its outputs read one image and one class at a time."""

import pytest
import torch
from torch import nn

from sparring.errors import SparringError
from sparring.metrics.discriminator_accuracy import discriminator_accuracies
from sparring.networks.discriminator import Discriminator, Head


class Backbone(nn.Module):
    channels = 6

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(16, 6), nn.BatchNorm1d(6)

    def forward(self, images, labels=None):
        return self.norm(self.linear(images.flatten(1))), []


def make(conditioning="projection", heads=("score", "class_logits")):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        asked = {"score": Head(name="score"), "class_logits": Head(name="class_logits", outputs=3, extra_outputs=1)}
        return Discriminator(
            Backbone(), {name: asked[name] for name in heads}, num_classes=3, conditioning=conditioning
        )


IMAGES = torch.randint(0, 256, (300, 1, 4, 4), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
LABELS = torch.randint(0, 3, (300,), generator=torch.Generator().manual_seed(2))


def test_each_share_is_counted_by_hand_and_nothing_changes():
    d = make()
    d.train()
    before = {key: value.clone() for key, value in d.state_dict().items()}
    found = discriminator_accuracies(d, IMAGES, LABELS)
    assert d.training and all(torch.equal(value, before[key]) for key, value in d.state_dict().items())
    d.eval()
    classifier = projection = real = 0
    for image, label in zip(IMAGES, LABELS, strict=True):
        x = image[None] / 127.5 - 1
        activations = d.extract(x)
        classifier += int(d.read("class_logits", activations)[0, :3].argmax() == label)
        scores = [d(x, torch.tensor([k])).item() for k in range(3)]
        projection += int(torch.tensor(scores).argmax() == label)
        real += scores[label] > 0
    assert found == pytest.approx({"classifier": classifier / 300, "projection": projection / 300, "real": real / 300})
    assert len({classifier, projection, real}) == 3  # so that no two can be mixed up


def test_a_discriminator_without_classes_has_its_sense_of_the_real_alone():
    found = discriminator_accuracies(make("none", ("score",)), IMAGES, None)
    assert list(found) == ["real"] and 0 < found["real"] < 1


def test_users_mistakes_are_named():
    with pytest.raises(SparringError, match="need labels"):
        discriminator_accuracies(make(), IMAGES, None)
    with pytest.raises(SparringError, match="0 to 2"):
        discriminator_accuracies(make(), IMAGES, LABELS + 1)
    for labels in (LABELS - 1, LABELS.float(), LABELS > 0, LABELS[:5], LABELS[:, None]):
        with pytest.raises(SparringError, match="labels must be from 0 to 2, one for each of 300 images, got torch"):
            discriminator_accuracies(make(), IMAGES, labels)
    with pytest.raises(SparringError, match="zero images"):
        discriminator_accuracies(make(), IMAGES[:0], LABELS[:0])
    with pytest.raises(SparringError, match=r"Backbone on images \[250, 3, 4, 4\] failed: ") as caught:
        discriminator_accuracies(make(), IMAGES.expand(-1, 3, -1, -1), LABELS)
    assert "\n" not in str(caught.value)
    unconditional = make("none", ("score",))  # looks at no label
    want = discriminator_accuracies(unconditional, IMAGES, None)
    assert discriminator_accuracies(unconditional, IMAGES, LABELS - 1) == want
