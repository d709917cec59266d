"""Ten steps of each method equal the paper's algorithm written out by hand, to float64 rounding.

The order is one discriminator update, its second update at once, then the generator on fresh latents. Starts, warm-ups and
intervals are such that the method acts, and each test asserts that it did.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from longhand import CLASSES, Hand, a_run, cross_entropy, outputs
from method_longhand import (
    EPS,
    STEPS,
    DLoss,
    GLoss,
    again_on_both,
    again_on_real,
    am_d,
    auxiliary,
    bce_d,
    bce_g,
    by_hand,
    cat_d,
    cat_g,
    check,
    dynamic,
    entropy,
    fgsm_each_epoch,
    fgsm_on_both,
    fgsm_on_real,
    gaussian_on_real,
    hinge_d,
    hinge_g,
    joint,
    k_plus_one_hinge_d,
    kl,
    logits,
    matching,
    nat_d,
    on_fake,
    on_real,
    pgd_on_real,
    softmax,
    three,
    with_fake,
    with_sdp,
)
from torch import Tensor

from sparring.training.step import train_step

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
