"""The hosts on class logits, and the divergences from the uniform answer, against loops in plain floats."""

from math import exp, log

import pytest
import torch

from sparring.errors import SparringError
from sparring.networks.discriminator import Head
from sparring.objective.term import Build
from sparring.terms.am_gan import AMGAN
from sparring.terms.cat_gan import CatGAN, entropy, marginal_entropy
from sparring.terms.divergences import TO_UNIFORM, kl_to_uniform
from sparring.terms.k_plus_one import KPlusOne
from sparring.terms.nat_gan import NATGAN
from sparring.testing import round_of

# three classes, and a fourth output where a host has one for fakes; labels are unbalanced and include the last class
REAL = [[2.0, -1.0, 0.5, -0.3], [0.1, 0.2, 1.5, 0.4], [-0.7, 0.9, 2.2, 1.0], [0.0, 0.3, -1.1, 0.8]]
FAKE = [[0.3, 1.2, -0.4, 2.0], [1.1, -0.2, 0.6, -0.5], [-0.8, 0.4, 0.9, 0.2]]
LABELS = [2, 2, 0, 2]


def without_last(rows):
    return [row[:-1] for row in rows]


def softmax(row):
    total = sum(exp(v) for v in row)
    return [exp(v) / total for v in row]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def first_largest(values):
    return max(range(len(values)), key=lambda i: (values[i], -i))


def h(p):
    return -sum(v * log(v) for v in p)


def marginal(rows):
    return [mean(softmax(row)[k] for row in rows) for k in range(len(rows[0]))]


def to_uniform(name, row):
    p, u = softmax(row), 1 / len(row)
    middle = [(u + v) / 2 for v in p]
    return {
        "kl": sum(u * log(u / v) for v in p),
        "reverse_kl": sum(v * log(v / u) for v in p),
        "js": sum(u * log(u / m) for m in middle) / 2 + sum(v * log(v / m) for v, m in zip(p, middle, strict=True)) / 2,
        "squared_error": sum((v - u) ** 2 for v in p),
    }[name]


def round_on(real, fake, **more):
    sides = {"real": {"class_logits": real, "labels": torch.tensor(LABELS)}, "fake": {"class_logits": fake}}
    return round_of(**sides, **more)


def check(equal, slopes, leaf, term, player, formula, real, fake):
    """The term's loss, and its gradients in real and fake logits, against formula(real, fake)."""
    real_leaf, fake_leaf = leaf(real), leaf(fake)
    value = getattr(term, f"{player}_loss")(round_on(real_leaf, fake_leaf, player=player))
    gradients = [
        (real_leaf, slopes(lambda rows: formula(rows, fake), real)),
        (fake_leaf, slopes(lambda rows: formula(real, rows), fake)),
    ]
    equal(value, formula(real, fake), gradients)


# --- divergences ---
@pytest.mark.parametrize("name", TO_UNIFORM)
def test_divergences_equal_the_formula(name, equal, slopes, leaf):
    logits = leaf(FAKE)
    values = TO_UNIFORM[name](logits)
    for i, row in enumerate(FAKE):
        assert values[i].item() == pytest.approx(to_uniform(name, row), rel=1e-12)
    equal(values.sum(), sum(to_uniform(name, row) for row in FAKE), [
        (logits, slopes(lambda rows: sum(to_uniform(name, row) for row in rows), FAKE))
    ])  # fmt: skip


@pytest.mark.parametrize("name", TO_UNIFORM)
def test_divergences_vanish_at_equal_logits_and_ignore_a_shift(name):
    logits = torch.tensor(FAKE, dtype=torch.float64)
    assert TO_UNIFORM[name](torch.full((2, 4), 7.0, dtype=torch.float64)).abs().max() < 1e-14
    torch.testing.assert_close(TO_UNIFORM[name](logits + 31.0), TO_UNIFORM[name](logits), rtol=1e-10, atol=1e-12)
    assert (TO_UNIFORM[name](logits) > 1e-3).all()


def test_the_gradient_of_kl_is_softmax_minus_uniform(leaf):
    logits = leaf(FAKE)
    kl_to_uniform(logits).sum().backward()
    expected = torch.tensor([[p - 1 / 4 for p in softmax(row)] for row in FAKE], dtype=torch.float64)
    torch.testing.assert_close(logits.grad, expected)


def test_divergences_by_hand():
    # p = (3/4, 1/4): KL(u||p) = 1/2 log(2/3) + 1/2 log 2, KL(p||u) = 3/4 log(3/2) + 1/4 log(1/2), squares 1/16 + 1/16
    logits = torch.tensor([[log(3.0), 0.0]], dtype=torch.float64)
    assert TO_UNIFORM["kl"](logits).item() == pytest.approx(0.143841, abs=1e-6)
    assert TO_UNIFORM["reverse_kl"](logits).item() == pytest.approx(0.130812, abs=1e-6)
    assert TO_UNIFORM["js"](logits).item() == pytest.approx(0.033822, abs=1e-6)
    assert TO_UNIFORM["squared_error"](logits).item() == pytest.approx(0.125)


@pytest.mark.parametrize("name", TO_UNIFORM)
def test_divergences_of_huge_logits_are_finite(name):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], requires_grad=True)
    values = TO_UNIFORM[name](logits)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()
    assert (values > -1e-6).all()


# --- nat_gan ---
@pytest.mark.parametrize("name", TO_UNIFORM)
def test_nat_gan_discriminator(name, equal, slopes, leaf):
    def formula(real, fake):
        on_real = mean(-log(softmax(row)[y]) for row, y in zip(real, LABELS, strict=True))
        return on_real + mean(to_uniform(name, row) for row in fake)

    term = NATGAN(divergence=name)
    check(equal, slopes, leaf, term, "discriminator", formula, without_last(REAL), without_last(FAKE))


def test_nat_gan_generator_takes_the_class_that_each_fake_resembles_most(equal, slopes, leaf):
    def formula(real, fake):
        return mean(-log(max(softmax(row))) for row in fake)

    check(equal, slopes, leaf, NATGAN(), "generator", formula, without_last(REAL), without_last(FAKE))


def test_nat_gan_has_as_many_outputs_as_classes():
    assert NATGAN().heads() == (Head(name="class_logits", outputs="num_classes"),)
    assert NATGAN().is_sum_of_sides


# --- am_gan ---
def test_am_gan_discriminator_puts_fakes_in_the_last_class(equal, slopes, leaf):
    def formula(real, fake):
        on_real = mean(-log(softmax(row)[y]) for row, y in zip(real, LABELS, strict=True))
        return on_real + mean(-log(softmax(row)[3]) for row in fake)

    check(equal, slopes, leaf, AMGAN(), "discriminator", formula, REAL, FAKE)


def test_am_gan_generator_chooses_among_real_classes_and_normalises_over_all(equal, slopes, leaf):
    def formula(real, fake):
        return mean(-log(softmax(row)[first_largest(row[:3])]) for row in fake)

    assert first_largest(FAKE[0]) == 3  # where the fake class is the largest of all
    check(equal, slopes, leaf, AMGAN(), "generator", formula, REAL, FAKE)


def test_dynamic_labels_break_ties_by_the_first_class(leaf):
    fake = leaf([[1.0, 1.0, 1.0, 1.0]])
    AMGAN().generator_loss(round_of(fake={"class_logits": fake}, player="generator")).backward()
    torch.testing.assert_close(fake.grad, torch.tensor([[-0.75, 0.25, 0.25, 0.25]], dtype=torch.float64))


def test_am_gan_has_one_output_more():
    assert AMGAN().heads() == (Head(name="class_logits", outputs="num_classes", extra_outputs=1),)


# --- cat_gan ---
def test_cat_gan_discriminator_entropy_form(equal, slopes, leaf):
    def formula(real, fake):
        return -h(marginal(real)) + mean(h(softmax(row)) for row in real) - mean(h(softmax(row)) for row in fake)

    check(equal, slopes, leaf, CatGAN(), "discriminator", formula, without_last(REAL), without_last(FAKE))


def test_cat_gan_generator_entropy_form(equal, slopes, leaf):
    def formula(real, fake):
        return -h(marginal(fake)) + mean(h(softmax(row)) for row in fake)

    check(equal, slopes, leaf, CatGAN(), "generator", formula, without_last(REAL), without_last(FAKE))


def test_cat_gan_discriminator_as_printed(equal, slopes, leaf):
    def formula(real, fake):
        on_real = mean(-log(softmax(row)[y]) for row, y in zip(real, LABELS, strict=True))
        return on_real - mean(-log(max(softmax(row))) for row in fake) - h(marginal(real))

    term = CatGAN(form="cross_entropy")
    check(equal, slopes, leaf, term, "discriminator", formula, without_last(REAL), without_last(FAKE))


def test_cat_gan_generator_as_printed(equal, slopes, leaf):
    def formula(real, fake):
        return mean(-log(max(softmax(row))) for row in fake) - h(marginal(fake))

    term = CatGAN(form="cross_entropy")
    check(equal, slopes, leaf, term, "generator", formula, without_last(REAL), without_last(FAKE))


def test_cat_gan_rewards_sure_balanced_reals_and_unsure_fakes():
    sure = torch.tensor([[40.0, 0.0], [0.0, 40.0]], dtype=torch.float64)
    unsure = torch.zeros(2, 2, dtype=torch.float64)
    r = round_of(real={"class_logits": sure}, fake={"class_logits": unsure})
    assert CatGAN().discriminator_loss(r).item() == pytest.approx(-2 * log(2))  # the least that two classes allow
    assert not CatGAN().is_sum_of_sides
    assert CatGAN.couples_samples


def test_entropies_of_huge_logits_are_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, -1e4]], requires_grad=True)
    values = [*entropy(logits), marginal_entropy(logits)]
    sum(values).backward()
    assert all(value.item() == 0 for value in values)
    assert torch.isfinite(logits.grad).all()


def test_cat_gans_entropy_form_takes_data_without_labels():
    unlabelled = Build(steps=10, num_classes=3, has_labels=False)
    CatGAN().check(unlabelled)
    for term in (CatGAN(form="cross_entropy"), NATGAN(), AMGAN(), KPlusOne()):
        with pytest.raises(SparringError, match=f"{type(term).__module__.split('.')[-1]} .* no labels"):
            term.check(unlabelled)
        term.check(Build(steps=10, num_classes=3, has_labels=True))


# --- k_plus_one ---
def test_k_plus_one_discriminator(equal, slopes, leaf):
    def formula(real, fake):
        on_real = mean(-log(softmax(row)[y]) for row, y in zip(real, LABELS, strict=True))
        return on_real + mean(-log(softmax(row)[3]) for row in fake)

    check(equal, slopes, leaf, KPlusOne(), "discriminator", formula, REAL, FAKE)


def test_k_plus_one_multi_hinge_form(equal, slopes, leaf):
    def hinge(row, y):
        return max(0, 1 - row[y] + max(v for k, v in enumerate(row) if k != y))

    def formula(real, fake):
        return mean(hinge(row, y) for row, y in zip(real, LABELS, strict=True)) + mean(hinge(row, 3) for row in fake)

    check(equal, slopes, leaf, KPlusOne(form="multi_hinge"), "discriminator", formula, REAL, FAKE)


def test_k_plus_one_takes_reals_without_a_label_as_of_any_real_class(slopes, leaf):
    logits = leaf(REAL)
    r = round_of(real={"class_logits": logits, "labels": torch.tensor([-1, 2, -1, 0])})
    values = KPlusOne().on_real(r.real)

    def formula(rows):
        p = [softmax(row) for row in rows]
        return [-log(1 - p[0][3]), -log(p[1][2]), -log(1 - p[2][3]), -log(p[3][0])]

    assert values.tolist() == pytest.approx(formula(REAL), rel=1e-12)
    values.sum().backward()
    torch.testing.assert_close(logits.grad, slopes(lambda rows: sum(formula(rows)), REAL), rtol=1e-6, atol=1e-9)


def test_k_plus_one_generator_matches_mean_features(equal, slopes, leaf):
    real, fake = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], [[0.2, -0.4], [1.4, 0.3]]

    def formula(rows):
        return sum((mean(row[j] for row in real) - mean(row[j] for row in rows)) ** 2 for j in range(2))

    real_leaf, fake_leaf = leaf(real), leaf(fake)
    r = round_of(real={"features": real_leaf}, fake={"features": fake_leaf}, player="generator")
    gradients = [(fake_leaf, slopes(formula, fake)), (real_leaf, torch.zeros(3, 2, dtype=torch.float64))]
    equal(KPlusOne().generator_loss(r), formula(fake), gradients)
    assert KPlusOne().needs("generator", 0) == {"real", "fake"}
    assert KPlusOne.couples_samples


# --- all of them ---
@pytest.mark.parametrize("host", [NATGAN(), AMGAN(), CatGAN(), KPlusOne()], ids=lambda host: type(host).__name__)
def test_realness_is_the_largest_log_probability_of_a_real_class(host, slopes, leaf):
    rows = REAL if host.extra else without_last(REAL)
    logits = leaf(rows)
    found = host.realness(round_of(real={"class_logits": logits}).real)

    def formula(rows):
        return [log(max(softmax(row)[:3])) for row in rows]

    assert found.tolist() == pytest.approx(formula(rows), rel=1e-12)
    found.sum().backward()
    torch.testing.assert_close(logits.grad, slopes(lambda rows: sum(formula(rows)), rows), rtol=1e-6, atol=1e-9)
    assert host.categorical


@pytest.mark.parametrize("host", [NATGAN(), AMGAN(), KPlusOne(), KPlusOne(form="multi_hinge")], ids=repr)
def test_hosts_on_class_logits_say_that_they_need_labels(host):
    r = round_of(real={"class_logits": torch.zeros(2, 4)}, fake={"class_logits": torch.zeros(2, 4)})
    with pytest.raises(SparringError, match="have no labels"):
        host.discriminator_loss(r)


@pytest.mark.parametrize("host", [NATGAN(), AMGAN(), CatGAN(), KPlusOne(), KPlusOne(form="multi_hinge")], ids=repr)
def test_huge_logits_leave_hosts_finite(host):
    logits = torch.tensor([[1e4, -1e4, 0.0, -1e4], [-1e4, 1e4, 1e4, -1e4], [0.0, 0.0, 0.0, 1e4], [1e4] * 4])
    for player in ("discriminator", "generator"):
        real, fake = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        sides = {"real": {"class_logits": real, "labels": torch.tensor(LABELS), "features": real}}
        r = round_of(**sides, fake={"class_logits": fake, "features": fake}, player=player)
        value = getattr(host, f"{player}_loss")(r)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(fake.grad).all()
