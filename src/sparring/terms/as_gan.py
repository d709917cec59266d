"""AS-GAN: the discriminator is also trained on adversarial real samples, in a second update after the usual one.

    theta' = theta - eta grad_theta L_D(theta, x, z)                     the update of all other terms
    x^     = x + eps sign(grad_x on_real(x))                             at the weights theta, before that update
    theta" = theta' - eta grad_theta' E_x on_real(x^)                    the second update, same optimiser

    on_real     the host's loss of a real sample: -log sigmoid(D(x)) for the paper's cross-entropy
    eps         1/255 in units of the images' range [-1, 1]: half a grey level of 8 bits

"Adversarial symmetric GANs: bridging adversarial samples and adversarial networks", Eq. 7 to 10 and Algorithm 1. With
`craft: host` and `attack: fgsm` the gradient comes from the first backward pass and costs little (see `real.gradient`).

Deviations (as the released code)
    The second update is the loss on attacked samples alone; Eq. 10 prints all of V. The gradient for x^ is taken before the
    update; the order of Algorithm 1 suggests after it. No clamp. `bfloat16` would round most of x^ to x: float32 here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sparring.errors import SparringError
from sparring.limits import ATTACK_STEPS, PASSES
from sparring.objective.term import Build, Penalty, Player, Term
from sparring.terms import checks
from sparring.terms.attacks import OTHER, SideName, fgsm, host_loss, pgd, unlikeness

if TYPE_CHECKING:
    from sparring.objective.round import Round, Side


class ASGAN(Term):
    """A second discriminator update on adversarial samples."""

    eps: float = Field(1 / 255, ge=0)
    """Size of the perturbation in units of the images' range [-1, 1]. The default is half a grey level of 8 bits."""
    craft: Literal["host", "realness"] = "host"
    """What the attack raises: the host's loss, or the opposite of realness, for hosts like hinge that are flat in places."""
    attack: Literal["fgsm", "pgd", "gaussian"] = "fgsm"
    """`fgsm` takes one step, `pgd` several; `gaussian` is the paper's control, eps sign(N(0, I))."""
    target: Literal["real", "fake", "both"] = "real"
    """Which images are attacked."""
    pgd_steps: int = Field(7, ge=1, le=ATTACK_STEPS)
    """Number of steps of `pgd`."""
    pgd_step_size: float | None = Field(None, gt=0)
    """Size of each step of `pgd`. Null means `eps` / 4."""
    random_start: bool = False
    """Start `pgd` from a random point within `eps`."""
    clamp: bool = False
    """Keep attacked images in [-1, 1]."""
    warmup: int = Field(300, ge=0)
    """Discriminator updates during which `eps` is 0."""
    warmup_scope: Literal["global", "epoch"] = "global"
    """Warm up at the start of the run, as in the paper, or of each epoch, as the released code does."""
    with_fake_loss: bool = False
    """Add the host's loss of the other side, not attacked: Eq. 10 as printed."""
    with_penalties: bool = False
    """Add the objective's penalties of this update: on a Wasserstein host the second update alone is unbounded."""

    @model_validator(mode="after")
    def _options_that_fit(self) -> ASGAN:
        if self.with_fake_loss and self.target == "both":
            raise ValueError("with_fake_loss adds the side that is not attacked, and target: both attacks both sides")
        if self.attack != "pgd" and (self.random_start or self.pgd_step_size is not None):
            raise ValueError(f"random_start and pgd_step_size are options of attack: pgd, not of {self.attack}")
        return self

    @property
    def targets(self) -> list[SideName]:
        return ["real", "fake"] if self.target == "both" else [self.target]

    def needs(self, player: Player, update: int) -> set[str]:
        if player == "generator":
            return set()
        needs = {"penalties"} if self.with_penalties else set()
        needs |= {f"{name}.images" for name in (OTHER if self.with_fake_loss else self.targets)}
        warming_up = self.warmup_scope == "global" and update < self.warmup
        if self.attack == "fgsm" and not warming_up:  # the first update judges the sides for the host
            aspect = "gradient" if self.craft == "host" else "differentiated"
            needs |= {f"{name}.{aspect}" for name in self.targets}
        return needs

    def check(self, build: Build) -> None:
        checks.separable_host(build, "as_gan")
        if self.attack == "pgd" and self.pgd_steps * build.d_steps > PASSES:
            raise SparringError(f"as_gan.pgd_steps times d_steps is at most {PASSES}: lower one of them")
        span, where = build.steps * build.d_steps, "the run"
        if self.warmup_scope == "epoch":
            span, where = min(span, checks.epoch_length(build.updates_per_epoch, "as_gan.warmup_scope")), "an epoch"
        checks.acts_within(self.warmup, span, field="as_gan.warmup", unit="discriminator updates", where=where)
        terms = {} if build.objective is None else build.objective.terms
        if self.with_penalties and not any(isinstance(term, Penalty) for term in terms.values()):
            raise SparringError("as_gan.with_penalties has no penalty to add: put gradient_penalty or r1 beside it")

    def scaled(self, factor: float) -> Term:
        """A warm-up of the run scales with it; one of each epoch does not."""
        term = super().scaled(factor)
        return term.model_copy(update={"warmup": round(self.warmup * factor)} if self.warmup_scope == "global" else {})

    def eps_at(self, r: Round) -> float:
        """eps, or 0 during the warm-up."""
        update = r.update
        if self.warmup_scope == "epoch":
            update %= checks.epoch_length(r.context.updates_per_epoch, "as_gan.warmup_scope")
        return self.eps if update >= self.warmup else 0.0

    def discriminator_loss(self, r: Round) -> None:
        """Adds nothing; crafts the attacks that the first backward pass does not provide, at the same weights."""
        eps = self.eps_at(r)
        if eps > 0 and (self.attack == "pgd" or (self.attack == "fgsm" and self.craft == "realness")):
            r.keep(**{name: self._craft(r, name, eps) for name in self.targets})

    def _craft(self, r: Round, name: SideName, eps: float) -> Tensor:
        side = r.side(name)
        x = side.images

        def gradient_of(judged: Side, keep: bool = False) -> Tensor:
            loss = host_loss(r.host, name, judged) if self.craft == "host" else unlikeness(r.host, name, judged)
            return torch.autograd.grad(loss.sum(), judged.input, retain_graph=keep)[0]

        if self.attack == "fgsm":
            return fgsm(x, gradient_of(side, keep=True), eps)
        start = x + eps * (2 * r.uniform(*x.shape) - 1) if self.random_start else x
        size = eps / 4 if self.pgd_step_size is None else self.pgd_step_size
        judge = partial(r.judge, labels=side.labels, differentiate=True)
        return pgd(x, start, lambda point: gradient_of(judge(point)), eps=eps, step_size=size, steps=self.pgd_steps)

    def second_update(self, r: Round) -> Tensor:
        images = {name: self._attacked(r, r.side(name)) for name in self.targets}
        if self.with_fake_loss:
            images[OTHER[self.targets[0]]] = r.side(OTHER[self.targets[0]]).images
        judged = {name: r.judge(x, r.side(name).labels, full=True) for name, x in images.items()}
        losses = [host_loss(r.host, name, side).mean() for name, side in judged.items()]
        penalties = r.penalties() if self.with_penalties else None
        return torch.stack(losses if penalties is None else [*losses, penalties]).sum()

    def _attacked(self, r: Round, side: Side) -> Tensor:
        """The side's adversarial samples; during the warm-up, the images themselves."""
        eps, attacked = self.eps_at(r), r.kept_values.get(str(side.name))
        if eps == 0:
            return side.images
        if attacked is None:
            direction = r.normal(*side.images.shape) if self.attack == "gaussian" else side.gradient
            attacked = fgsm(side.images, direction, eps)
        return attacked.clamp(-1, 1) if self.clamp else attacked
