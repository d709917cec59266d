"""A recipe's two networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from sparring.errors import SparringError, one_line
from sparring.networks import BACKBONES, GENERATORS
from sparring.networks.discriminator import Discriminator
from sparring.plugins import find
from sparring.randomness import seed_for
from sparring.recipe.explain import given_to
from sparring.trust import VALIDATED

if TYPE_CHECKING:
    from sparring.recipe.gan import Recipe


def build_networks(
    recipe: Recipe, *, image_size: int, image_channels: int, num_classes: int, device: torch.device | str = "cpu"
) -> tuple[Discriminator, nn.Module]:
    """Build the recipe's discriminator, with the heads that its objective needs, and its generator.

    They are initialised from the recipe's seed; the global generators stay unchanged. `device="meta"` takes no memory.
    """
    facts = {"image_size": image_size, "image_channels": image_channels, "num_classes": num_classes}
    facts["dimensions"] = image_channels  # toy worlds: coordinates per point
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed_for(recipe.seed, "initialisation"))
        generator_class = find(recipe.generator.network.kind, GENERATORS, "generator", VALIDATED)
        taken = given_to(generator_class, **facts, latent_size=recipe.generator.latent_size)
        with one_line(f"generator '{recipe.generator.network.kind}' cannot be built: ", "; check its options"):
            generator = generator_class(**taken, **recipe.generator.network.options)
        if not any(True for _ in generator.parameters()):
            raise SparringError(f"generator '{recipe.generator.network.kind}' has no parameters to train")
        backbone_class = find(recipe.discriminator.network.kind, BACKBONES, "backbone", VALIDATED)
        with one_line(f"backbone '{recipe.discriminator.network.kind}' cannot be built: ", "; check its options"):
            backbone = backbone_class(**given_to(backbone_class, **facts), **recipe.discriminator.network.options)
        discriminator = Discriminator(
            backbone,
            recipe.objective.heads(),
            num_classes=num_classes,
            conditioning=recipe.discriminator.conditioning,
        )
    return discriminator, generator
