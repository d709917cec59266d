"""The papers' algorithms, written out by hand on the networks of `longhand`: what the methods' trajectories are held to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from longhand import CLASSES, Hand, a_run, cross_entropy, log_sigmoid, outputs
from torch import Tensor

from sparring.randomness import generator_for
from sparring.training.state import TrainingState
from sparring.training.step import train_step

STEPS = 10
DLoss = Callable[[Hand, Any, Tensor], Tensor]
GLoss = Callable[[Hand, Any, Tensor], Tensor]
Second = Callable[[Hand, Any, Tensor], Tensor | None]


def by_hand(
    hand: Hand, d_loss: DLoss, g_loss: GLoss, prepare: Second | None = None, second: Any = None, rows: Any = None
) -> None:
    """Algorithm: update D; update it again on what was prepared before the first update; update G with D frozen."""
    for step in range(STEPS):
        b = hand.batch("discriminator", step, rows=rows)
        fake = hand.fake(b, graph=False)
        prepared = prepare(hand, b, fake) if prepare else None
        hand.step_d(d_loss(hand, b, fake))
        if prepared is not None:
            hand.step_d(second(hand, b, fake, prepared))
        hand.update += 1
        b = hand.batch("generator", step, hand.update - 1, rows=rows)
        with hand.d_keeps_its_statistics():
            hand.step_g(g_loss(hand, b, hand.fake(b, graph=True)))


def check(ours: TrainingState, theirs: TrainingState, without: TrainingState, acted: float = 1e-4) -> None:
    """Both end alike, and elsewhere than a run without the method."""
    for run in (ours, without):
        for _ in range(STEPS):
            train_step(run)
    assert (outputs(ours) - outputs(without)).abs().max() > acted
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-9)


def three(
    objective: dict[str, Any], without: dict[str, Any], **changes: Any
) -> tuple[TrainingState, TrainingState, TrainingState]:
    """Two equal runs of the objective, and one of its plain host."""
    plain = {key: value for key, value in changes.items() if key not in ("negatives", "unlabelled")}
    return a_run(objective, **changes), a_run(objective, **changes), a_run(without, **plain)


# --- hosts, by hand ---


def hinge_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return (1 - hand.score(x, y)).clamp_min(0).mean() + (1 + hand.score(fake, b.fake_labels)).clamp_min(0).mean()


def hinge_g(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    return -hand.score(fake, b.fake_labels).mean()


def bce_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return -log_sigmoid(hand.score(x, y)).mean() - log_sigmoid(-hand.score(fake, b.fake_labels)).mean()


def bce_g(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    return -log_sigmoid(hand.score(fake, b.fake_labels)).mean()


# --- AS-GAN ---

EPS = 0.05


def gradient(hand: Hand, x: Tensor, y: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(hand.score(x, y)).sum(), x)[0]


def on_real(score: Tensor) -> Tensor:
    return -log_sigmoid(score)


def on_fake(score: Tensor) -> Tensor:
    return -log_sigmoid(-score)


def fgsm_on_real(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return x + (EPS if hand.update >= 2 else 0) * gradient(hand, x, y, on_real).sign()


def again_on_real(hand: Hand, b: Any, fake: Tensor, attacked: Tensor) -> Tensor:
    return on_real(hand.score(attacked, b.sides["real"][1])).mean()


def pgd_on_real(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    if hand.update < 2:
        return x
    point = x + EPS * (2 * hand.uniform("discriminator", hand.update, "as_gan", *x.shape) - 1)
    for _ in range(3):
        point = point + 0.03 * gradient(hand, point, y, on_real).sign()
        point = torch.minimum(torch.maximum(point, x - EPS), x + EPS)
    return point


def gaussian_on_real(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, _ = b.sides["real"]
    drawn = torch.randn(
        x.shape, generator=generator_for(hand.s.recipe.seed, "discriminator", hand.update, True, "as_gan", 0)
    )
    return x + (EPS if hand.update >= 2 else 0) * drawn.double().sign()


def fgsm_each_epoch(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    """Six batches of 8 in an epoch of 48: eps is 0 in the first four of each."""
    x, y = b.sides["real"]
    return x + (EPS if hand.update % 6 >= 4 else 0) * gradient(hand, x, y, on_real).sign()


def with_fake(hand: Hand, b: Any, fake: Tensor, attacked: Tensor) -> Tensor:
    return again_on_real(hand, b, fake, attacked) + on_fake(hand.score(fake, b.fake_labels)).mean()


def fgsm_on_both(hand: Hand, b: Any, fake: Tensor) -> Any:
    on = EPS if hand.update >= 2 else 0
    return fgsm_on_real(hand, b, fake), fake + on * gradient(hand, fake, b.fake_labels, on_fake).sign()


def again_on_both(hand: Hand, b: Any, fake: Tensor, attacked: Any) -> Tensor:
    return again_on_real(hand, b, fake, attacked[0]) + on_fake(hand.score(attacked[1], b.fake_labels)).mean()


# --- SDP ---


def sdp_loss(hand: Hand, x: Tensor, fake: Tensor, y: Any, fake_y: Any, k: int) -> Tensor:
    """(1/k) L_SDP with explicit loops over pairs, blocks and pixels; x and fake are judged in whole batches."""
    (hf, blocks_f), (hr, blocks_r) = hand.backbone(fake), hand.backbone(x)
    scores_f, scores_r = hand.head("score", hf)[:, 0], hand.head("score", hr)[:, 0]
    ranked = sorted(range(len(fake)), key=lambda i: -float(scores_f[i].detach()))
    total = torch.zeros((), dtype=torch.float64)
    for i in ranked[:k]:
        distances = [float((fake[i].detach() - x[j]).square().sum()) for j in range(len(x))]
        j = distances.index(min(distances))
        total = total + (scores_f[i] - scores_r[j]) ** 2
        for block_f, block_r in zip(blocks_f, blocks_r, strict=True):
            f = torch.stack([channel.max() for channel in block_f[i]])
            r = torch.stack([channel.max() for channel in block_r[j]])
            total = total + ((f / f.square().sum().sqrt() - r / r.square().sum().sqrt()) ** 2).sum()
    return total / k


def with_sdp(host: Callable[..., Tensor], player: str) -> Callable[..., Tensor]:
    def loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        step = hand.update if player == "d" else hand.update - 1
        value = host(hand, b, fake)
        if step >= 2:
            x, y = b.sides["real"]
            k = min(2 + step // 4, 8)  # k grows by one every four steps
            value = value + 0.5 * sdp_loss(hand, x, fake, y, b.fake_labels, k)
        return value

    return loss


# --- hosts on class logits ---


def logits(hand: Hand, x: Tensor) -> Tensor:
    return hand.head("class_logits", hand.backbone(x)[0])


def kl(c: Tensor) -> Tensor:
    """KL(u || p) per sample, class by class."""
    rows = []
    for row in c:
        p = torch.exp(row) / torch.exp(row).sum()
        rows.append(sum(math.log(1 / len(row)) / len(row) - torch.log(q) / len(row) for q in p))
    return torch.stack(rows)


def dynamic(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    """-log p of the likeliest real class, the softmax over all outputs."""
    c = logits(hand, fake)
    return cross_entropy(c, c[:, :CLASSES].detach().argmax(1)).mean()


def nat_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return cross_entropy(logits(hand, x), y).mean() + kl(logits(hand, fake)).mean()


def am_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return cross_entropy(logits(hand, x), y).mean() + cross_entropy(logits(hand, fake), [CLASSES] * len(fake)).mean()


def entropy(p: Tensor) -> Tensor:
    return -(p * torch.log(p)).sum(-1)


def softmax(c: Tensor) -> Tensor:
    return torch.exp(c) / torch.exp(c).sum(1, keepdim=True)


def cat_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    p_real, p_fake = softmax(logits(hand, b.sides["real"][0])), softmax(logits(hand, fake))
    return -entropy(p_real.mean(0)) + entropy(p_real).mean() - entropy(p_fake).mean()


def cat_g(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    p = softmax(logits(hand, fake))
    return -entropy(p.mean(0)) + entropy(p).mean()


def crammer_singer(c: Tensor, y: Any) -> Tensor:
    losses = []
    for row, label in zip(c, y, strict=True):
        others = [row[k] for k in range(len(row)) if k != int(label)]
        losses.append((1 - row[int(label)] + torch.stack(others).max()).clamp_min(0))
    return torch.stack(losses)


def k_plus_one_hinge_d(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    x, y = b.sides["real"]
    return crammer_singer(logits(hand, x), y).mean() + crammer_singer(logits(hand, fake), [CLASSES] * len(fake)).mean()


def matching(hand: Hand, b: Any, fake: Tensor) -> Tensor:
    real, _ = hand.backbone(b.sides["real"][0])
    features, _ = hand.backbone(fake)
    return ((real.detach().mean(0) - features.mean(0)) ** 2).sum()


# --- external negatives ---


def joint(on_real: Callable[..., Tensor], on_fakes: Callable[..., Tensor]) -> DLoss:
    """Eq. 9: the mean over fakes and negatives together, judged in one pass; every second update has negatives."""

    def loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        judged = torch.cat([fake, b.sides["negative"][0]]) if hand.update % 2 == 0 else fake
        return on_real(hand, *b.sides["real"]).mean() + on_fakes(hand, judged).mean()

    return loss


# --- classifiers beside the score ---


def auxiliary(hand: Hand, x: Tensor, y: Tensor, form: str, shared: bool) -> Tensor:
    h, _ = hand.backbone(x)
    if shared:
        assert hand.D.embedding is not None
        c = torch.stack([torch.stack([h[i] @ e for e in hand.D.embedding.weight]) for i in range(len(h))])
    else:
        c = hand.head("class_logits", h)
    return (crammer_singer(c, y) if form == "multi_hinge" else cross_entropy(c, y)).mean()
