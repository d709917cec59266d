"""How far it is from `train` to the discriminator's pass: few frames of ours, in few files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import sparring
from tiny import tiny_images, tiny_recipe

PACKAGE = Path(sparring.__file__).parent
MOST_FRAMES, MOST_FILES = 8, 6


def frames_of_ours() -> list[str]:
    """The files of the package's frames below the caller's, innermost first, from `train` on."""
    found, frame = [], sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            found.append(f"{path.relative_to(PACKAGE)}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found


class WatchedBackbone(nn.Module):
    """A user's backbone, which notes who called it in training; what tries networks does so without gradients."""

    stacks: ClassVar[list[list[str]]] = []

    def __init__(self, *, image_size: int, width: int = 6):
        super().__init__()
        self.channels, self.look = width, nn.Linear(image_size**2, width)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        if torch.is_grad_enabled():
            self.stacks.append(frames_of_ours())
        return self.look(images.flatten(1)), []


def own_step(s: Any) -> None:
    from sparring.training.step import train_step

    train_step(s)


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize("case", ["users", "shipped"])
def test_from_train_to_the_pass_there_are_few_frames_in_few_files(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[list[str]] = []
    monkeypatch.setattr(WatchedBackbone, "stacks", stacks)
    recipe = tiny_recipe(objective={"hinge": {}, "as_gan": {"eps": 0.01, "warmup": 0}}, steps=1)
    if case == "shipped":
        from sparring.networks.dcgan import DCGANBackbone

        class Watched(DCGANBackbone):
            def forward(self, *given: Any) -> Any:
                if torch.is_grad_enabled():
                    stacks.append(frames_of_ours())
                return super().forward(*given)

        monkeypatch.setattr("sparring.networks.dcgan.DCGANBackbone", Watched)
    else:
        recipe["discriminator"]["network"] = f"{__name__}:WatchedBackbone"
        recipe["step"] = f"{__name__}:own_step"
    sparring.train(recipe, out=tmp_path / "run", data=tiny_images(), progress=False)
    assert len(stacks) == 3  # the discriminator's update, its second update, the generator's
    for stack in (stacks[0], stacks[2]):  # that of the attacked samples begins in their term
        assert stack[-1] == "training/run.py:train"
        files = {frame.partition(":")[0] for frame in stack}
        assert len(stack) <= MOST_FRAMES and len(files) <= MOST_FILES, "\n".join(stack)
