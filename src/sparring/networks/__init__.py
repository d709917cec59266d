"""Networks by name. A module is imported when a recipe asks for one of its networks.

A generator is built with `(*, image_size, image_channels, latent_size, num_classes, <options>)` and called as
`forward(z [B, Z], labels [B] | None) -> images [B, C, H, W]` in [-1, 1]; it has an attribute `latent_size`.

A backbone is built with `(*, image_size, image_channels, num_classes, <options>)` and called as `forward(images,
labels=None) -> (features [B, channels], blocks)`, where blocks are the activations of its stages; it has an attribute
`channels` and optionally `make_head(name, outputs)`, `couples_batch`, `uses_labels` and `spectral_norm` (what the default
heads are normalised with). `sparring.networks.discriminator.Discriminator` adds the heads.

Toy networks take `dimensions` instead of `image_size` and `image_channels`. Options are a constructor's further keywords:
their type hints say what a recipe may give. Name your own class as `package.module:Class`. Several networks have these:

    width           channels at the image's full size, unless the network says otherwise
    max_width       the most channels that a layer has
    layout          `constant` keeps the width in all blocks, `pyramid` doubles it at each halving of the image
    normalisation   the normalisation layers: `batch`, `layer` or none
    spectral_norm   `exact` divides weights by their largest singular value, `clamp` only if that is above 1
    initialisation  how weights start: as in the paper's code, or torch's `default`
    upsampling      how a generator doubles its images
    attention       whether there is a layer of self-attention
    fused           do each resampling and the convolution beside it as one; false gives the same numbers to rounding
"""

GENERATORS: dict[str, str] = {
    "amgan": "sparring.networks.amgan:AMGANGenerator",
    "autogan": "sparring.networks.autogan:AutoGANGenerator",
    "dcgan": "sparring.networks.dcgan:DCGANGenerator",
    "r3gan": "sparring.networks.r3gan:R3GANGenerator",
    "resnet_as": "sparring.networks.resnet_as:ASGenerator",
    "sagan": "sparring.networks.sagan:SAGANGenerator",
    "sngan": "sparring.networks.sngan:SNGANGenerator",
    "sngan_cnn": "sparring.networks.sngan:CNNGenerator",
    "toy": "sparring.networks.toy:ToyGenerator",
}

BACKBONES: dict[str, str] = {
    "amgan": "sparring.networks.amgan:AMGANBackbone",
    "autogan": "sparring.networks.autogan:AutoGANBackbone",
    "dcgan": "sparring.networks.dcgan:DCGANBackbone",
    "r3gan": "sparring.networks.r3gan:R3GANBackbone",
    "resnet_as": "sparring.networks.resnet_as:ASBackbone",
    "sagan": "sparring.networks.sagan:SAGANBackbone",
    "sngan": "sparring.networks.sngan:SNGANBackbone",
    "sngan_cnn": "sparring.networks.sngan:CNNBackbone",
    "toy": "sparring.networks.toy:ToyBackbone",
}
