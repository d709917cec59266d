"""Ten steps of each adversarial loss and penalty equal the algorithm written out by hand, to float64 rounding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from longhand import Hand, a_run, log_sigmoid, norm, outputs
from torch import Tensor

from sparring.training.step import train_step, update_discriminator, update_generator

Loss = Callable[[Tensor, Tensor], Tensor]
STEPS = 10


def minus(f: Callable[[Tensor], Tensor]) -> Loss:
    return lambda real, fake: f(fake)


# discriminator(real scores, fake scores), generator(real scores, fake scores)
HOSTS: dict[str, tuple[Loss, Loss]] = {
    "non_saturating": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: -log_sigmoid(f).mean(),
    ),
    "minimax": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: log_sigmoid(-f).mean(),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "hinge": (
        lambda r, f: (1 - r).clamp_min(0).mean() + (1 + f).clamp_min(0).mean(),
        lambda r, f: -f.mean(),
    ),
    "relativistic_pairing": (lambda r, f: -log_sigmoid(r - f).mean(), lambda r, f: -log_sigmoid(f - r).mean()),
}


def by_hand(hand: Hand, host: str, *, d_steps: int = 1, penalty: Callable[..., Tensor] | None = None) -> None:
    """The plain GAN: separate passes, D frozen in G's update, G without a graph in D's."""
    on_d, on_g = HOSTS[host]
    for step in range(STEPS):
        for _ in range(d_steps):
            b = hand.batch("discriminator", hand.update)
            (x, y), fake = b.sides["real"], hand.fake(b, graph=False)
            loss = on_d(hand.score(x, y), hand.score(fake, b.fake_labels))
            if penalty is not None:
                loss = loss + penalty(hand, x, y, fake, b.fake_labels)
            hand.step_d(loss)
            hand.update += 1
        b = hand.batch("generator", step, hand.update - 1)
        with hand.d_keeps_its_statistics():
            fake = hand.fake(b, graph=True)
            real = hand.score(*b.sides["real"]) if host == "relativistic_pairing" else torch.zeros(len(fake))
            hand.step_g(on_g(real, hand.score(fake, b.fake_labels)))


@pytest.mark.parametrize("norm_kind", ["none", "batch"])
@pytest.mark.parametrize("host", HOSTS)
def test_hosts(host: str, norm_kind: str) -> None:
    changes = {"d_steps": 2, "discriminator__network__normalisation": norm_kind}
    ours, theirs = a_run({host: {}}, **changes), a_run({host: {}}, **changes)
    start = outputs(ours)
    for _ in range(STEPS):
        train_step(ours)
    by_hand(Hand(theirs), host, d_steps=2)
    assert (outputs(ours) - start).abs().max() > 1e-2  # it moved
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-9)


def gradient_at(hand: Hand, x: Tensor, y: Tensor | None) -> Tensor:
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(hand.score(x, y).sum(), x, create_graph=True)[0]


def wgan_gp(hand: Hand, x: Tensor, y: Tensor, fake: Tensor, fake_y: Tensor) -> Tensor:
    eps = hand.uniform("discriminator", hand.update, "gradient_penalty", len(x), 1, 1, 1)
    return 10 * ((norm(gradient_at(hand, eps * x + (1 - eps) * fake, y)) - 1) ** 2).mean()


def lazy_r1(hand: Hand, x: Tensor, y: Tensor, fake: Tensor, fake_y: Tensor) -> Tensor:
    return 3 * 5 * (norm(gradient_at(hand, x, y)) ** 2).mean() if hand.update % 3 == 0 else torch.zeros(())


def r1_and_r2(hand: Hand, x: Tensor, y: Tensor, fake: Tensor, fake_y: Tensor) -> Tensor:
    return 5 * (norm(gradient_at(hand, x, y)) ** 2).mean() + 2 * (norm(gradient_at(hand, fake, fake_y)) ** 2).mean()


PENALTIES = {
    "wgan-gp": ("wasserstein", {"gradient_penalty": {}}, wgan_gp),
    "lazy r1": ("non_saturating", {"r1": {"every": 3}}, lazy_r1),
    "r3gan": ("relativistic_pairing", {"r1": {}, "r2": {"weight": 2}}, r1_and_r2),
}


@pytest.mark.parametrize("conditioning", ["none", "projection"])
@pytest.mark.parametrize("case", PENALTIES)
def test_penalties(case: str, conditioning: str) -> None:
    host, terms, penalty = PENALTIES[case]
    changes = {"d_steps": 2, "discriminator__conditioning": conditioning}
    ours, theirs = a_run({host: {}} | terms, **changes), a_run({host: {}} | terms, **changes)
    plain = a_run({host: {}}, **changes)
    for _ in range(STEPS):
        train_step(ours)
        train_step(plain)
    by_hand(Hand(theirs), host, d_steps=2, penalty=penalty)
    assert (outputs(ours) - outputs(plain)).abs().max() > 1e-4  # the penalty acted
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-9)


def test_the_step_is_its_updates() -> None:
    ours, theirs = a_run({"hinge": {}}, d_steps=3), a_run({"hinge": {}}, d_steps=3)
    for _ in range(3):
        train_step(ours)
        for _ in range(3):
            update_discriminator(theirs)
        update_generator(theirs)
    assert torch.equal(outputs(ours), outputs(theirs)) and (theirs.step, theirs.updates) == (3, 9)


def by_torch_spectral_norm(hand: Hand) -> Callable[[bool], None]:
    """W / sigma as a plain expression of W, one power iteration before each of D's updates; `True` iterates."""
    from sparring.networks.spectral import normalised_layers

    def refresh(iterate: bool) -> None:
        for layer, weight in normalised_layers(hand.D):
            matrix = weight.flatten(1)
            with torch.no_grad():
                if iterate:
                    v = matrix.t() @ layer.u
                    layer.v.copy_(v / v.norm())
                    u = matrix @ layer.v
                    layer.u.copy_(u / u.norm())
                u, v = layer.u.clone(), layer.v.clone()
            layer.leaf = weight / (u @ matrix @ v)  # in the graph

    return refresh


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_spectral_norm_with_a_penalty_and_accumulation(normalisation: str) -> None:
    """One iteration per update of D, none in G's, the same weight in all passes, gradients through sigma."""
    changes = {"discriminator__network__spectral_norm": "exact", "discriminator__network__normalisation": normalisation}
    terms = {"wasserstein": {}, "gradient_penalty": {}}
    accumulate = 2 if normalisation == "none" else 1
    ours = a_run(terms, accumulate=accumulate, generator__network__normalisation="none", **changes)
    theirs = a_run(terms, generator__network__normalisation="none", **changes)
    hand = Hand(theirs)
    refresh = by_torch_spectral_norm(hand)
    for step in range(STEPS):
        train_step(ours)
        b = hand.batch("discriminator", step)
        (x, y), fake = b.sides["real"], hand.fake(b, graph=False)
        refresh(True)
        hand.step_d(hand.score(fake).mean() - hand.score(x).mean() + wgan_gp(hand, x, y, fake, b.fake_labels))
        hand.update += 1
        b = hand.batch("generator", step)
        refresh(False)
        with hand.d_keeps_its_statistics():
            hand.step_g(-hand.score(hand.fake(b, graph=True)).mean())
    from sparring.networks.spectral import normalised_layers

    for layer, _ in normalised_layers(hand.D):
        layer.release()
    torch.testing.assert_close(outputs(ours), outputs(theirs), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "terms",
    [
        {"wasserstein": {}, "gradient_penalty": {}},
        {"non_saturating": {}, "r1": {"every": 2}},
        {"relativistic_pairing": {}, "r1": {}, "r2": {}},
    ],
)
def test_four_micro_batches_are_one_batch(terms: dict) -> None:
    one = a_run(terms, generator__network__normalisation="none")
    four = a_run(terms, generator__network__normalisation="none", accumulate=4)
    for _ in range(4):
        train_step(one)
        train_step(four)
    torch.testing.assert_close(outputs(one), outputs(four), rtol=0, atol=1e-10)


def test_a_term_of_weight_zero_is_absent_bit_for_bit() -> None:
    without = a_run({"non_saturating": {}})
    zero = {"weight": 0}
    with_zero = a_run({"multi_hinge": zero, "non_saturating": {}, "r1": zero, "gradient_penalty": zero, "as_gan": zero})
    assert set(with_zero.discriminator.heads) == {"score"}
    for _ in range(4):
        train_step(without)
        train_step(with_zero)
    assert torch.equal(outputs(without), outputs(with_zero))


def test_gs_buffers_stay_in_ds_updates_and_ds_in_gs() -> None:
    run = a_run(
        {"hinge": {}}, discriminator__network__normalisation="batch", discriminator__network__spectral_norm="exact"
    )

    def buffers(network: torch.nn.Module) -> list[Tensor]:
        return [b.clone() for b in network.buffers()]

    before = buffers(run.generator)
    update_discriminator(run)
    assert all(torch.equal(a, b) for a, b in zip(before, buffers(run.generator), strict=True))
    before = buffers(run.discriminator)
    weights = [p.clone() for p in run.discriminator.parameters()]
    update_generator(run)
    assert all(torch.equal(a, b) for a, b in zip(before, buffers(run.discriminator), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights, run.discriminator.parameters(), strict=True))
    assert all(p.grad is None and p.requires_grad for p in run.discriminator.parameters())
    before = buffers(run.discriminator)
    update_discriminator(run)
    assert not all(torch.equal(a, b) for a, b in zip(before, buffers(run.discriminator), strict=True))
