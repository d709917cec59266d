"""Networks by name. The modules are imported when a recipe asks for one, so that reading this costs nothing.

A generator is built with `(*, image_size, image_channels, latent_size, num_classes, <options>)` and called as
`forward(z [B, Z], labels [B] | None) -> images [B, C, H, W]` in [-1, 1]; it has an attribute `latent_size`.

A backbone is built with `(*, image_size, image_channels, num_classes, <options>)` and called as `forward(images,
labels=None) -> (features [B, channels], blocks)`, where blocks are the activations of its stages; it has an attribute
`channels` and optionally `make_head(name, outputs)`, `couples_batch`, `uses_labels` and `spectral_norm` (what the default
heads are normalised with). `sparring.networks.discriminator.Discriminator` adds the heads.

Toy networks take `dimensions` in the place of `image_size` and `image_channels`. Options are a constructor's further
keywords: their type hints say what a recipe may give. Your own class in the place of any of these is `package.module:Class`.
"""

GENERATORS: dict[str, str] = {
    "dcgan": "sparring.networks.dcgan:DCGANGenerator",
    "toy": "sparring.networks.toy:ToyGenerator",
}

BACKBONES: dict[str, str] = {
    "dcgan": "sparring.networks.dcgan:DCGANBackbone",
    "toy": "sparring.networks.toy:ToyBackbone",
}
