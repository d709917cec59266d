"""Score drift: the discriminator's scores of training images stay near zero.

    R = E_x D(x)^2

    D       the host's realness: the score, or what a host on class logits takes for it

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, section 5.
"""

from sparring import Term


class ScoreDrift(Term):
    """The mean square of the real scores, with the paper's weight."""

    weight: float = 0.001

    def needs(self, player, update):
        return {"real"} if player == "discriminator" else set()

    def discriminator_loss(self, r):
        return r.host.realness(r.real).square().mean()
