"""Ten steps of each method equal the paper's algorithm written out by hand, to float64 rounding.

The order is one discriminator update, its second update at once, then the generator on fresh latents. Starts, warm-ups and
intervals are such that the method acts, and each test asserts that it did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
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


AS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "fgsm": ({}, fgsm_on_real, again_on_real),
    "realness": (
        {"craft": "realness"},
        fgsm_on_real,
        again_on_real,
    ),  # the same direction where the loss falls strictly
    "pgd": (
        {"attack": "pgd", "pgd_steps": 3, "pgd_step_size": 0.03, "random_start": True},
        pgd_on_real,
        again_on_real,
    ),
    "gaussian": ({"attack": "gaussian"}, gaussian_on_real, again_on_real),
    "each epoch": ({"warmup": 4, "warmup_scope": "epoch"}, fgsm_each_epoch, again_on_real),
    "printed Eq. 10": ({"with_fake_loss": True}, fgsm_on_real, with_fake),
    "both": ({"target": "both"}, fgsm_on_both, again_on_both),
}


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("case", AS)
def test_as_gan(case: str, normalisation: str) -> None:
    fields, prepare, second = AS[case]
    if normalisation == "batch" and case == "realness":
        pytest.skip("with batch norm one sample's loss weighs into another's gradient, so the directions differ")
    terms = {"non_saturating": {}, "as_gan": {"eps": EPS, "warmup": 2} | fields}
    changes = {"discriminator__network__normalisation": normalisation}
    ours, theirs, plain = three(terms, {"non_saturating": {}}, **changes)
    by_hand(Hand(theirs), bce_d, bce_g, prepare, second)
    check(ours, theirs, plain)
    counts = {p.numel(): int(s["step"]) for p, s in ours.optimizers["discriminator"].state.items()}
    assert set(counts.values()) == {2 * STEPS}  # two optimiser steps of D per iteration


def test_as_gan_with_other_readers_of_the_reals_attacks_along_the_hosts_gradient() -> None:
    """R1 also fills the reals' leaf; the attack follows the host's loss alone."""
    terms = {"non_saturating": {}, "r1": {"weight": 20}, "as_gan": {"eps": EPS, "warmup": 2}}
    ours, theirs, plain = three(terms, {"non_saturating": {}, "r1": {"weight": 20}})

    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        x, y = b.sides["real"]
        leaf = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(hand.score(leaf, y).sum(), leaf, create_graph=True)
        return bce_d(hand, b, fake) + 20 * g.square().flatten(1).sum(1).mean()

    by_hand(Hand(theirs), d_loss, bce_g, fgsm_on_real, again_on_real)
    check(ours, theirs, plain)


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


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("host", ["hinge", "non_saturating"])
def test_sdp(host: str, normalisation: str) -> None:
    on_d, on_g = {"hinge": (hinge_d, hinge_g), "non_saturating": (bce_d, bce_g)}[host]
    terms = {host: {}, "sdp": {"weight": 0.5, "t": 2, "k": 2, "I_p": 4}}
    changes = {"discriminator__network__normalisation": normalisation}
    ours, theirs, plain = three(terms, {host: {}}, **changes)
    if normalisation == "batch":

        def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
            return with_sdp(on_d, "d")(hand, b, fake)
    else:
        d_loss = with_sdp(on_d, "d")
    by_hand(Hand(theirs), d_loss, with_sdp(on_g, "g"))
    for run in (ours, plain):
        for _ in range(STEPS):
            train_step(run)
    for run in (ours, theirs, plain):  # the longhand judges twice, so running statistics differ where there are any
        for module in run.discriminator.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
    assert (outputs(ours) - outputs(plain)).abs().max() > 1e-4
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-9)


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


CATEGORICAL: dict[str, tuple[dict[str, Any], DLoss, GLoss]] = {
    "nat_gan": ({}, nat_d, dynamic),
    "am_gan": ({}, am_d, dynamic),
    "cat_gan": ({}, cat_d, cat_g),
    "k_plus_one": ({}, am_d, matching),
    "k_plus_one, multi-hinge": ({"form": "multi_hinge"}, k_plus_one_hinge_d, matching),
}


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("case", CATEGORICAL)
def test_hosts_on_class_logits(case: str, normalisation: str) -> None:
    fields, d_loss, g_loss = CATEGORICAL[case]
    changes = {"discriminator__network__normalisation": normalisation}
    name = case.partition(",")[0]
    ours, theirs = a_run({name: fields}, **changes), a_run({name: fields}, **changes)
    start = outputs(ours)
    by_hand(Hand(theirs), d_loss, g_loss)
    for _ in range(STEPS):
        train_step(ours)
    assert (outputs(ours) - start).abs().max() > 1e-2
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-9)


# --- external negatives ---


def joint(on_real: Callable[..., Tensor], on_fakes: Callable[..., Tensor]) -> DLoss:
    """Eq. 9: the mean over fakes and negatives together, judged in one pass; every second update has negatives."""

    def loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        judged = torch.cat([fake, b.sides["negative"][0]]) if hand.update % 2 == 0 else fake
        return on_real(hand, *b.sides["real"]).mean() + on_fakes(hand, judged).mean()

    return loss


NEGATIVES: dict[str, tuple[DLoss, GLoss]] = {
    "nat_gan": (
        joint(lambda hand, x, y: cross_entropy(logits(hand, x), y), lambda hand, x: kl(logits(hand, x))),
        dynamic,
    ),
    "am_gan": (
        joint(
            lambda hand, x, y: cross_entropy(logits(hand, x), y),
            lambda hand, x: cross_entropy(logits(hand, x), [CLASSES] * len(x)),
        ),
        dynamic,
    ),
    "non_saturating": (
        joint(lambda hand, x, y: on_real(hand.score(x)), lambda hand, x: on_fake(hand.score(x))),
        bce_g,
    ),
}


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("host", NEGATIVES)
def test_negatives_on_a_host(host: str, normalisation: str) -> None:
    d_loss, g_loss = NEGATIVES[host]
    terms = {host: {}, "negatives": {"per_batch": 3, "join_every": 2}}
    changes = {"discriminator__network__normalisation": normalisation}
    ours, theirs, plain = three(terms, {host: {}}, negatives=20, **changes)
    by_hand(Hand(theirs), d_loss, g_loss, rows={"negative": 3})
    check(ours, theirs, plain)


def test_negatives_with_cat_gan_join_the_fakes_entropy() -> None:
    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        p_real = softmax(logits(hand, b.sides["real"][0]))
        p_fake = softmax(logits(hand, torch.cat([fake, b.sides["negative"][0]])))
        return -entropy(p_real.mean(0)) + entropy(p_real).mean() - entropy(p_fake).mean()

    ours, theirs, plain = three({"cat_gan": {}, "negatives": {"per_batch": 5}}, {"cat_gan": {}}, negatives=20)
    by_hand(Hand(theirs), d_loss, cat_g, rows={"negative": 5})
    check(ours, theirs, plain)


def test_uneven_negatives_weigh_the_same_in_four_micro_batches() -> None:
    terms = {"nat_gan": {}, "negatives": {"per_batch": 3}}
    changes = {"negatives": 20, "generator__network__normalisation": "none"}
    one, four = a_run(terms, **changes), a_run(terms, accumulate=4, **changes)
    for _ in range(4):
        train_step(one)
        train_step(four)
    torch.testing.assert_close(outputs(one), outputs(four), rtol=0, atol=1e-10)


# --- classifiers beside the score ---


def auxiliary(hand: Hand, x: Tensor, y: Tensor, form: str, shared: bool) -> Tensor:
    h, _ = hand.backbone(x)
    if shared:
        assert hand.D.embedding is not None
        c = torch.stack([torch.stack([h[i] @ e for e in hand.D.embedding.weight]) for i in range(len(h))])
    else:
        c = hand.head("class_logits", h)
    return (crammer_singer(c, y) if form == "multi_hinge" else cross_entropy(c, y)).mean()


@pytest.mark.parametrize("on_fakes", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("form", ["multi_hinge", "auxiliary_classifier"])
def test_a_classifier_beside_the_projection_discriminator(form: str, shared: bool, on_fakes: bool) -> None:
    terms = {"hinge": {}, form: {"shared": shared, "on_fake": on_fakes}}
    changes = {
        "discriminator__conditioning": "projection",
        "generator__network__conditioning": "conditional_batch_norm",
    }
    ours, theirs, plain = three(terms, {"hinge": {}}, **changes)

    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        loss = hinge_d(hand, b, fake) + auxiliary(hand, *b.sides["real"], form, shared)
        return loss + auxiliary(hand, fake, b.fake_labels, form, shared) if on_fakes else loss

    def g_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        return hinge_g(hand, b, fake) + 0.1 * auxiliary(hand, fake, b.fake_labels, form, shared)

    by_hand(Hand(theirs), d_loss, g_loss)
    check(ours, theirs, plain)


@pytest.mark.parametrize("form", ["multi_hinge", "auxiliary_classifier"])
def test_semi_supervised(form: str) -> None:
    terms = {"hinge": {}, form: {}, "semi_supervised": {}}
    changes = {"discriminator__conditioning": "projection"}
    ours, theirs, plain = three(terms, {"hinge": {}, form: {}}, unlabelled=True, **changes)

    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        (x, y), (u, _) = b.sides["real"], b.sides["unlabelled"]
        believed = logits(hand, u).detach().argmax(1)
        on_labelled = (1 - hand.score(x, y)).clamp_min(0).mean()
        on_unlabelled = (1 - hand.score(u, believed)).clamp_min(0).mean()
        on_fakes = (1 + hand.score(fake, b.fake_labels)).clamp_min(0).mean()
        return on_labelled / 2 + on_unlabelled / 2 + on_fakes + auxiliary(hand, x, y, form, False)

    def g_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        return hinge_g(hand, b, fake) + 0.1 * auxiliary(hand, fake, b.fake_labels, form, False)

    by_hand(Hand(theirs), d_loss, g_loss)
    check(ours, theirs, plain)


# --- feature matching and LeCam ---


def test_feature_matching() -> None:
    ours, theirs, plain = three({"hinge": {}, "feature_matching": {"weight": 2}}, {"hinge": {}})
    by_hand(Hand(theirs), hinge_d, lambda hand, b, fake: hinge_g(hand, b, fake) + 2 * matching(hand, b, fake))
    check(ours, theirs, plain)


def test_lecam() -> None:
    ours, theirs, plain = three({"hinge": {}, "lecam": {"decay": 0.8, "start": 2}}, {"hinge": {}})
    average = {"real": 0.0, "fake": 0.0}

    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        real, generated = hand.score(b.sides["real"][0]), hand.score(fake)
        loss = hinge_d(hand, b, fake)
        if hand.update >= 2:
            loss = (
                loss + 0.3 * ((real - average["fake"]) ** 2).mean() + 0.3 * ((average["real"] - generated) ** 2).mean()
            )
        gamma = 0.8 if hand.update >= 2 else 0.0
        for name, scores in (("real", real), ("fake", generated)):
            average[name] = gamma * average[name] + (1 - gamma) * float(scores.detach().mean())
        return loss

    by_hand(Hand(theirs), d_loss, hinge_g)
    check(ours, theirs, plain)
    assert ours.objective.memory["lecam"]["real"].item() == pytest.approx(average["real"], abs=1e-9)


# --- together ---


def test_everything_at_once_on_hinge() -> None:
    """MHGAN + SDP + AS + negatives + R1: the sum of what each does alone, in one plan of passes."""
    terms = {
        "non_saturating": {},
        "multi_hinge": {},
        "sdp": {"weight": 0.5, "t": 2, "k": 2, "I_p": 4},
        "as_gan": {"eps": EPS, "warmup": 2},
        "negatives": {"per_batch": 3, "join_every": 2},
    }
    ours, theirs, plain = three(terms, {"non_saturating": {}, "multi_hinge": {}}, negatives=20)
    joined = NEGATIVES["non_saturating"][0]

    def d_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        host = with_sdp(lambda *_: joined(hand, b, fake), "d")(hand, b, fake)
        return host + auxiliary(hand, *b.sides["real"], "multi_hinge", False)

    def g_loss(hand: Hand, b: Any, fake: Tensor) -> Tensor:
        loss = with_sdp(bce_g, "g")(hand, b, fake)
        return loss + 0.1 * auxiliary(hand, fake, b.fake_labels, "multi_hinge", False)

    by_hand(Hand(theirs), d_loss, g_loss, fgsm_on_real, again_on_real, rows={"negative": 3})
    check(ours, theirs, plain)
