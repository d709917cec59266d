"""Warnings of a run: what brings each about, what does not, and that watching changes nothing."""

from __future__ import annotations

import pytest
import torch

import sparring
from sparring.data.packed import PackedImages
from sparring.files import read_rows
from sparring.networks import GENERATORS
from sparring.recipe.gan import EMA, Optimizer, Recipe
from sparring.report.plots import image_grid
from sparring.run.data import RunData
from sparring.run.generator import generate_uint8
from sparring.training.state import build
from sparring.training.step import train_step
from sparring.training.term_log import gradient_norm
from sparring.training.vitals import Vitals, _difference
from sparring.training.warnings import Watch, diversity, pairs_within, trained_from
from tiny import same_bits, tiny_images, tiny_recipe


def _tick(loss: float, real: float = 5.0, fake: float = -5.0, step: int = 0) -> dict[str, float]:
    scores = {"discriminator/real_score": real, "discriminator/fake_score": fake}
    return {"step": step, "discriminator/hinge": loss, "discriminator/hinge/x": 9.0, "generator/hinge": 5.0, **scores}


def _ticks(*losses: float, every: int = 25, **scores: float) -> list[dict[str, float]]:
    return [_tick(loss, step=i * every, **scores) for i, loss in enumerate(losses)]


def test_a_saturated_discriminator_is_reported_once_until_it_recovers():
    watch = Watch("hinge", 100)
    found = [bool(watch.tick(row)) for row in _ticks(0.5, 0.01, 0.0, 0.019, 0.0, 0.5, 0.0, 0.0, 0.0)]
    assert found == [False, False, False, True, False, False, False, False, True]
    text = Watch("hinge", 100, _ticks(0.0, 0.0)).tick(_tick(0.004, step=50))["saturated"]
    assert "its loss is 0.004" in text and "10 apart" in text and "People try: a lower learning rate" in text


@pytest.mark.parametrize(("every", "first"), [(1, 50), (10, 50), (24, 72), (25, 50), (500, 1000)])
def test_a_discriminator_is_saturated_after_three_ticks_and_50_steps(every, first):
    watch = Watch("hinge", 10_000)
    found = [row["step"] for row in _ticks(*[0.0] * 60, every=every) if watch.tick(row)]
    assert found == [first]


@pytest.mark.parametrize("row", [_tick(0.02), _tick(0.0, 0.2, 0.0), _tick(-8.0), {"generator/hinge": 0.0}])
def test_a_loss_of_nothing_without_a_gap_or_below_zero_is_no_saturation(row):
    watch = Watch("hinge", 100)
    assert not any(watch.tick({**row, "step": 25 * i}) for i in range(9))


def test_a_collapse_is_a_fall_from_the_best_diversity():
    watch = Watch("hinge", 100)
    values = (0.01, 0.005, 0.29, 0.1, 0.8, 0.41, 0.39, 0.2, 0.5, 0.3)
    found = [watch.samples({"step": 0, "diversity": value}).get("collapse", "") for value in values]
    assert [bool(text) for text in found] == [False] * 6 + [True, False, False, True]
    assert "0.39 of real images', and was 0.80 at its best" in found[6]


def test_noise_more_diverse_than_images_is_no_best_to_fall_from():
    watch = Watch("hinge", 100)
    found = [bool(watch.samples({"step": i, "diversity": d})) for i, d in enumerate((2.1, 1.0, 0.51, 0.49))]
    assert found == [False, False, False, True]


def test_a_generator_that_never_was_diverse_has_collapsed_after_a_quarter_of_the_run():
    watch = Watch("hinge", 100)
    rows = [(0, 0.01), (24, 0.02), (25, 0.05), (50, 0.01), (75, 0.1), (100, 0.09)]
    found = [watch.samples({"step": step, "diversity": d}).get("collapse", "") for step, d in rows]
    assert [bool(text) for text in found] == [False, False, True, False, False, True]
    assert "diversity is 0.05 of real images' at step 25 of 100. People try" in found[2] and "best" not in found[2]


def test_no_collapse_is_seen_in_samples_of_the_initialisation():
    """What is grey and alike, or noise as diverse as images, before the network has learnt."""
    for values in ((0.01, 0.02, 0.02, 0.03), (0.9, 0.8, 0.35, 0.12)):
        watch = Watch("hinge", 100, trained_from=40)
        assert not any(watch.samples({"step": 10 * i, "diversity": d}) for i, d in enumerate(values))
        assert bool(watch.samples({"step": 40, "diversity": 0.05})) and not watch.samples(
            {"step": 50, "diversity": 0.5}
        )
        assert "was 0.50 at its best" in watch.samples({"step": 60, "diversity": 0.2})["collapse"]


def test_samples_tell_of_the_training_after_a_way_of_the_weights_and_of_their_average():
    adam = Optimizer(lr=2e-4)
    assert trained_from(10_000, adam, None) == 500
    assert trained_from(10_000, Optimizer(lr=4e-4), None) == trained_from(10_000, Optimizer(lr=1.0), None) == 300
    assert 9_990 < trained_from(20_000, Optimizer(lr=1e-5), None) < 10_010 and trained_from(100, adam, None) == 101
    assert trained_from(10_000, Optimizer(kind="sgd", lr=1e-5), None) == 300
    assert trained_from(10_000, adam, EMA(decay=0.999)) == 3500
    assert trained_from(10_000, adam, EMA(decay=0.99, start=1000)) == 1300
    assert trained_from(10_000, adam, EMA(decay=1.0)) == 10_001
    warmup = Optimizer.model_validate({"lr": {"knots": [[0, 0.0], [1000, 2e-4]]}})
    assert 990 < trained_from(10_000, warmup, None) < 1010


@pytest.mark.parametrize("kind", [kind for kind in GENERATORS if kind != "toy"])
def test_untrained_generators_of_every_kind_collapse_in_no_short_run(kind, tmp_path):
    """As diverse as they come, 0.00 to 0.8: three steps and twenty show nothing, and the row after the evidence does."""
    network = {"kind": kind, "width": 24 if kind == "r3gan" else 4}
    part = {"network": network, "optimizer": {"lr": 2e-4, "betas": [0.0, 0.9]}}
    recipe = Recipe.load(tiny_recipe(generator={**part, "latent_size": 8}, discriminator=part, batch_size=2, steps=20))
    side = 32 if kind == "autogan" else 16
    images = PackedImages(torch.randint(256, (40, 1, side, side), dtype=torch.uint8), torch.zeros(40).long(), ("all",))
    state, notes = build(recipe, images), []
    vitals = Vitals(state, RunData(images), tmp_path, [], None, notes.append)
    for step in (0, 1, 3, 20):
        while state.step < step:
            train_step(state)
        latents, labels = state.feed.latents(64, "fixed")
        samples = generate_uint8(state.evaluated_generator, latents, labels)
        vitals.samples(samples, None, image_grid(samples), None)
    assert notes == []
    state.step = vitals._watch._trained_from
    vitals.samples(torch.full_like(samples, 99), None, image_grid(samples), None)
    vitals.close()
    assert len(notes) == 1 and "the samples collapse" in notes[0]


def test_saturation_is_read_off_the_hosts_own_loss():
    row = {"discriminator/sdp": 0.0, "generator/sdp": 0.0, **_tick(0.8)}  # a term of both players before the host
    watch = Watch("hinge", 100)
    assert not any(watch.tick({**row, "step": 25 * i}) for i in range(5))
    assert Watch("hinge", 100, [{**row, **tick} for tick in _ticks(0.0, 0.0)]).tick({**row, **_tick(0.0, step=50)})


def test_a_generator_is_stuck_where_its_samples_stay():
    watch = Watch("hinge", 100)
    moved = (None, 12.0, 0.1, 0.0, 3.0, 0.2)
    found = ["stuck" in watch.samples({"step": 50 * i, "diversity": 1.0, "moved": m}) for i, m in enumerate(moved)]
    assert found == [False, False, True, False, False, True]
    close = Watch("hinge", 1000)
    assert not any(close.samples({"step": 49 * i, "diversity": 1.0, "moved": 0.0}) for i in range(9))


def test_overfitting_is_the_widest_gap_to_held_out_images():
    watch = Watch("hinge", 100)
    fine = {"train": {"real": 0.9, "classifier": 0.6}, "held_out": {"real": 0.75, "classifier": 0.6}}
    over = {"train": {"real": 0.9, "classifier": 0.98}, "held_out": {"real": 0.75, "classifier": 0.5}}
    assert watch.accuracies(fine) == {}
    assert "(classifier) is 98% on training images and 50% on held-out" in watch.accuracies(over)["overfitting"]
    assert watch.accuracies({"train": {}, "held_out": {}}) == {}


@pytest.mark.parametrize(("held_out", "warns"), [(4, False), (8, False), (20, True), (256, True)])
def test_overfitting_is_more_than_the_chance_of_few_images(held_out, warns):
    """0.9 of 256 against 0.6: 3 standard errors of the pooled share are 0.46, 0.33, 0.22 and 0.11."""
    row = {"train": {"real": 0.9}, "held_out": {"real": 0.6}, "n": {"train": 256, "held_out": held_out}}
    assert bool(Watch("hinge", 100).accuracies(row)) is warns


def test_a_watch_goes_on_from_the_rows_of_a_resumed_run():
    vitals = [{"step": 0, "diversity": 0.9, "moved": None}, over := {"train": {"real": 1.0}, "held_out": {"real": 0.5}}]
    watch = Watch("hinge", 100, _ticks(0.0, 0.0), vitals)
    assert "saturated" in watch.tick(_tick(0.0, step=50)) and "collapse" in watch.samples({"step": 5, "diversity": 0.3})
    assert not watch.accuracies(over)


def test_diversity_counts_pairs_of_one_class():
    images = torch.tensor([0, 4, 10, 30], dtype=torch.uint8).view(4, 1, 1, 1)
    assert diversity(images, None) == pytest.approx((4 + 10 + 30 + 6 + 26 + 20) / 6)
    assert diversity(images, torch.tensor([0, 0, 1, 1])) == pytest.approx((4 + 20) / 2)
    assert diversity(images[:1], None) == 0
    assert pairs_within(torch.tensor([0, 0, 1, 1])) == 2 and pairs_within(torch.tensor([4, 2, 4, 4, 0])) == 3


@pytest.mark.parametrize(("classes", "within"), [(2, True), (64, False)])
def test_without_pairs_of_one_class_diversity_is_that_of_all_images(classes, within):
    """64 samples of 64 classes in turn: no two of them are alike, and the distance within classes would be 0."""
    g = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(256, (64, 1, 4, 4), generator=g, dtype=torch.uint8) for _ in range(2))
    labels = torch.arange(64) % classes
    vitals = Vitals.__new__(Vitals)
    vitals._known, vitals.__dict__["_real"] = {}, (real, labels)
    chosen = labels if within else None
    expected = diversity(fake, chosen) / diversity(real, chosen)
    assert vitals._share_of_real(fake, labels) == pytest.approx(expected) and expected > 0.5
    assert vitals._share_of_real(fake, None) == pytest.approx(diversity(fake, None) / diversity(real, None))


def test_the_gradient_norm_is_that_of_all_gradients_together():
    network = torch.nn.Linear(2, 1)
    assert float(gradient_norm(network)) == 0
    network.weight.grad, network.bias.grad = torch.tensor([[1.0, 2.0]]), torch.tensor([2.0])
    assert float(gradient_norm(network)) == pytest.approx(3)


# --- in a run ---
def _held(monkeypatch):
    """Tiny runs with a test split of other images."""
    from dataclasses import replace

    import sparring.run.data as run_data

    real = run_data.load_data

    def load(data, note, given=None):
        return replace(tiny_images(seed=9), split="test") if data.split == "test" else real(data, note, given)

    monkeypatch.setattr(run_data, "load_data", load)


@pytest.mark.usefixtures("without_reports")
def test_a_run_writes_what_it_saw_and_its_training_stays_the_same(tmp_path, images, monkeypatch):
    _held(monkeypatch)
    evaluation = {"every": 2, "n": 12}
    monkeypatch.setattr("sparring.training.job.measure_generator", lambda *a, **k: [])
    monkeypatch.setattr("sparring.training.warnings.FEWEST_STEPS", 2)
    recipe = tiny_recipe(samples_every=2, log_every=2, evaluation=evaluation, steps=6)
    recipe["generator"]["optimizer"] = recipe["generator"]["optimizer"] | {"lr": 0.0}
    notes: list[str] = []
    watched = sparring.train(recipe, out=tmp_path / "watched", data=images, note=notes.append)
    rows = read_rows(watched.folder / "vitals.jsonl")
    samples = [row for row in rows if "diversity" in row]
    assert [row["step"] for row in samples] == [0, 2, 4, 6]
    assert samples[0]["moved"] is None and 0 < samples[3]["moved"] < 0.2  # its batch normalisation drifts
    assert [row["step"] for row in rows if "train" in row] == [2, 4, 6]
    begun = [(row["step"], kind) for row in rows for kind in row.get("warnings", {})]
    assert (2, "stuck") in begun and len([kind for _, kind in begun if kind == "stuck"]) == 1
    assert any("warning, step 2: the generator is stuck" in note for note in notes)
    assert all(row["discriminator/gradient_norm"] > 0 for row in watched.log)

    monkeypatch.setattr("sparring.training.vitals.Vitals.samples", lambda *a: None)
    monkeypatch.setattr("sparring.training.vitals.Vitals.accuracies", lambda *a: None)
    alone = sparring.train(recipe, out=tmp_path / "alone", data=images)
    from sparring.run.checkpoint import load_checkpoint

    same_bits(*(load_checkpoint(run.folder / "checkpoints" / "step-000006.pt") for run in (watched, alone)))


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize(("loss", "kinds"), [("hinge", {"real"}), ("wasserstein", set())])
def test_a_loss_without_a_boundary_has_no_share_called_real(loss, kinds, tmp_path, images, monkeypatch):
    _held(monkeypatch)
    monkeypatch.setattr("sparring.training.job.measure_generator", lambda *a, **k: [])
    recipe = tiny_recipe(objective={loss: {}}, evaluation={"every": 2, "n": 12}, steps=2)
    run = sparring.train(recipe, out=tmp_path / "run", data=images)
    (row,) = (row for row in read_rows(run.folder / "vitals.jsonl") if "train" in row)
    assert set(row["train"]) == set(row["held_out"]) == kinds


@pytest.mark.usefixtures("without_reports")
def test_the_last_picture_is_not_compared_where_it_comes_soon_after_another(tmp_path, images):
    run = sparring.train(tiny_recipe(samples_every=2, steps=5), out=tmp_path / "run", data=images)
    rows = [row for row in read_rows(run.folder / "vitals.jsonl") if "diversity" in row]
    assert [(row["step"], row["moved"] is None) for row in rows] == [(0, True), (2, False), (4, False), (5, True)]


@pytest.mark.usefixtures("without_reports")
def test_a_resumed_run_writes_the_same_vitals(tmp_path, images):
    recipe = tiny_recipe(samples_every=2, log_every=2, checkpoint_every=1, keep_checkpoints=9)
    whole = sparring.train(recipe, out=tmp_path / "run", data=images)
    before = (whole.folder / "vitals.jsonl").read_bytes()
    assert len(read_rows(whole.folder / "vitals.jsonl")) == 4
    for step in (1, 4, 5):
        sparring.train(recipe, out=tmp_path / "run", data=images, resume_from=step)
        assert (whole.folder / "vitals.jsonl").read_bytes() == before, step


@pytest.mark.usefixtures("without_reports")
def test_a_resumed_run_knows_its_warnings_about_the_log(tmp_path, images, monkeypatch):
    for name, value in (("FEWEST_STEPS", 0), ("SATURATED_LOSS", 1e9), ("SATURATED_GAP", -1e9), ("SATURATED_TICKS", 1)):
        monkeypatch.setattr(f"sparring.training.warnings.{name}", value)
    recipe = tiny_recipe(steps=6, samples_every=3, log_every=1, checkpoint_every=1, keep_checkpoints=9)
    whole = sparring.train(recipe, out=tmp_path / "run", data=images)
    rows = read_rows(whole.folder / "vitals.jsonl")
    assert [row["step"] for row in rows if "saturated" in row.get("warnings", {})] == [1]
    before = (whole.folder / "vitals.jsonl").read_bytes()
    for step in (1, 2, 4):
        sparring.train(recipe, out=tmp_path / "run", data=images, resume_from=step)
        assert (whole.folder / "vitals.jsonl").read_bytes() == before, step


def test_pictures_of_another_size_are_not_compared(tmp_path):
    one = image_grid(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), tmp_path / "one.png")
    same = image_grid(torch.full((4, 1, 8, 8), 3, dtype=torch.uint8))
    assert _difference(one, tmp_path / "one.png") == 0 and 2.5 < (_difference(same, tmp_path / "one.png") or 0) <= 3
    assert _difference(image_grid(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), tmp_path / "one.png") is None
