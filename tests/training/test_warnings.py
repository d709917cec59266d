"""Warnings of a run: what brings each about, what does not, and that watching changes nothing."""

from __future__ import annotations

import pytest
import torch

import sparring
from sparring.training.ledger import gradient_norm
from sparring.training.log import read_rows
from sparring.training.vitals import Vitals, _difference
from sparring.training.warnings import Watch, diversity, pairs_within
from tiny import same_bits, tiny_images, tiny_recipe


def _tick(loss: float, real: float = 5.0, fake: float = -5.0) -> dict[str, float]:
    scores = {"discriminator/real_score": real, "discriminator/fake_score": fake}
    return {"discriminator/hinge": loss, "discriminator/hinge/x": 9.0, "generator/hinge": 5.0, **scores}


def test_a_saturated_discriminator_is_reported_once_until_it_recovers():
    watch = Watch("hinge", 100)
    found = [bool(watch.tick(_tick(loss))) for loss in (0.5, 0.01, 0.0, 0.019, 0.0, 0.5, 0.0, 0.0, 0.0)]
    assert found == [False, False, False, True, False, False, False, False, True]
    text = Watch("hinge", 100, [_tick(0.0)] * 2).tick(_tick(0.004))["saturated"]
    assert "its loss is 0.004" in text and "10 apart" in text and "People try: a lower learning rate" in text


@pytest.mark.parametrize("row", [_tick(0.02), _tick(0.0, 0.2, 0.0), _tick(-8.0), {"generator/hinge": 0.0}])
def test_a_loss_of_nothing_without_a_gap_or_below_zero_is_no_saturation(row):
    watch = Watch("hinge", 100)
    assert not any(watch.tick(row) for _ in range(9))


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


def test_saturation_is_read_off_the_hosts_own_loss():
    row = {"discriminator/sdp": 0.0, "generator/sdp": 0.0, **_tick(0.8)}  # a term of both players before the host
    watch = Watch("hinge", 100)
    assert not any(watch.tick(row) for _ in range(5))
    assert Watch("hinge", 100, [{**row, **_tick(0.0)}] * 2).tick({**row, **_tick(0.0)})


def test_a_generator_is_stuck_where_its_samples_stay():
    watch = Watch("hinge", 100)
    moved = (None, 12.0, 0.1, 0.0, 3.0, 0.2)
    found = ["stuck" in watch.samples({"step": 0, "diversity": 1.0, "moved": m}) for m in moved]
    assert found == [False, False, True, False, False, True]


def test_overfitting_is_the_widest_gap_to_held_out_images():
    watch = Watch("hinge", 100)
    fine = {"train": {"real": 0.9, "classifier": 0.6}, "held_out": {"real": 0.75, "classifier": 0.6}}
    over = {"train": {"real": 0.9, "classifier": 0.98}, "held_out": {"real": 0.75, "classifier": 0.5}}
    assert watch.accuracies(fine) == {}
    assert "(classifier) is 98% on training images and 50% on held-out" in watch.accuracies(over)["overfitting"]
    assert watch.accuracies({"train": {}, "held_out": {}}) == {}


def test_a_watch_goes_on_from_the_rows_of_a_resumed_run():
    vitals = [{"step": 0, "diversity": 0.9, "moved": None}, over := {"train": {"real": 1.0}, "held_out": {"real": 0.5}}]
    watch = Watch("hinge", 100, [_tick(0.0)] * 2, vitals)
    assert "saturated" in watch.tick(_tick(0.0)) and "collapse" in watch.samples({"step": 5, "diversity": 0.3})
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

    import sparring.training.run_folder as run_folder

    real = run_folder.load_data

    def load(data, note, given=None):
        return replace(tiny_images(seed=9), split="test") if data.split == "test" else real(data, note, given)

    monkeypatch.setattr(run_folder, "load_data", load)


@pytest.mark.usefixtures("without_reports")
def test_a_run_writes_what_it_saw_and_its_training_stays_the_same(tmp_path, images, monkeypatch):
    _held(monkeypatch)
    evaluation = {"every": 2, "n": 12}
    monkeypatch.setattr("sparring.training.loop.measure", lambda *a, **k: [])
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
    from sparring.training.checkpoint import load_checkpoint

    same_bits(*(load_checkpoint(run.folder / "checkpoints" / "step-000006.pt") for run in (watched, alone)))


@pytest.mark.usefixtures("without_reports")
@pytest.mark.parametrize(("loss", "kinds"), [("hinge", {"real"}), ("wasserstein", set())])
def test_a_loss_without_a_boundary_has_no_share_called_real(loss, kinds, tmp_path, images, monkeypatch):
    _held(monkeypatch)
    monkeypatch.setattr("sparring.training.loop.measure", lambda *a, **k: [])
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
    for name, value in (("SATURATED_LOSS", 1e9), ("SATURATED_GAP", -1e9), ("SATURATED_TICKS", 1)):
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
    from sparring.report.plots import image_grid

    one = image_grid(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), tmp_path / "one.png")
    same = image_grid(torch.full((4, 1, 8, 8), 3, dtype=torch.uint8))
    assert _difference(one, tmp_path / "one.png") == 0 and 2.5 < (_difference(same, tmp_path / "one.png") or 0) <= 3
    assert _difference(image_grid(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), tmp_path / "one.png") is None
