"""The Python API: train, load, sample, evaluate, show, and side effects of a run on its process."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import sparring
from sparring.errors import SparringError
from sparring.microscope.opened import OpenedRun
from sparring.run.checkpoint import CheckpointFolder, load_checkpoint, save_checkpoint
from sparring.run.runtime import Runtime
from sparring.training.state import build
from sparring.training.step import train_step
from tiny import CLASSES, same_bits, tiny_images, tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")


def _conditional(**changes):
    recipe = tiny_recipe(steps=2, **changes)
    recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
    return recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory, images):
    return sparring.train(_conditional(), out=tmp_path_factory.mktemp("api") / "run", data=images)


def test_an_override_in_quotes_stays_text(images, tmp_path):
    """It is parsed once, whoever hands it on: `name='2024'` is a name, not a number."""
    assert sparring.train(_conditional(), ["name='2024'"], out=tmp_path / "run", data=images).recipe.name == "2024"


# --- sampling ---
def test_sample_i_is_the_same_for_any_n_and_from_a_lone_file(run, tmp_path):
    many = sparring.load(run).sample(64, seed=1)
    assert many.shape == (64, 1, 8, 8) and many.dtype == torch.uint8
    lone = shutil.copy(run.folder / "generator.safetensors", tmp_path / "mine.safetensors")
    for n in (1, 7, 50, 51):
        assert torch.equal(sparring.load(lone).sample(n, seed=1), many[:n])
    assert not torch.equal(sparring.load(lone).sample(64, seed=2), many)
    assert torch.equal(run.sample(3, seed=1), many[:3])


def test_with_batch_statistics_a_sample_does_not_depend_on_their_number(images, tmp_path):
    recipe = tiny_recipe(steps=1)
    recipe["generator"]["network"]["sampling_statistics"] = "batch"
    generator = sparring.load(sparring.train(recipe, out=tmp_path / "run", data=images))
    many = generator.sample(130)
    for n in (1, 99, 101):
        assert torch.equal(generator.sample(n), many[:n])
    running = sparring.load(tmp_path / "run")
    running.module.batch_statistics = False
    assert not torch.equal(running.sample(130), many)


def test_plain_generators_are_measured_by_the_images_that_sampling_shows(run):
    from sparring.run.generator import sampler_of
    from sparring.run.saved import load_generator

    saved = load_generator(run.folder)
    generate = sampler_of(saved.module, saved.latent_size, saved.num_classes, seed=1)
    assert torch.equal(generate(40, 90), saved.sample(130, seed=1)[40:])


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_sampling_leaves_the_generator_unchanged(batch_statistics):
    from sparring.run.generator import generate_uint8

    network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Unflatten(1, (1, 2, 2)))
    network.forward = lambda z, labels, forward=network.forward: forward(z)
    network.batch_statistics = batch_statistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert generate_uint8(network, torch.randn(5, 2), None).shape == (5, 1, 2, 2)
    same_bits(dict(network.state_dict()), before)
    assert network.training and all(p.requires_grad for p in network.parameters())


def test_labels_are_names_or_numbers_and_cycle_by_default(run):
    generator = sparring.load(run.folder)
    in_turn = generator.sample(6, seed=0)
    assert torch.equal(generator.sample(6, labels=[0, 1, 2, "class-0", "1", torch.tensor(2)]), in_turn)
    assert torch.equal(generator.sample(6, labels=torch.arange(6) % CLASSES), in_turn)
    ones = generator.sample(6, labels="class-1")
    assert torch.equal(ones, generator.sample(6, labels=1)) and not torch.equal(ones, in_turn)
    for labels in ("class-9", 3, -1, [0, 1], 1.5, [None] * 6):
        with pytest.raises(SparringError):
            generator.sample(6, labels=labels)


def test_samples_are_those_of_the_network_in_evaluation(run, images):
    """Written out: latents from the seed and the sample's number, running statistics, 255 levels."""
    from sparring.networks.dcgan import DCGANGenerator
    from sparring.randomness import generator_for

    options = {"width": 4, "conditioning": "conditional_batch_norm"}
    network = DCGANGenerator(image_size=8, image_channels=1, latent_size=6, num_classes=CLASSES, **options)
    state = load_checkpoint(run.folder / "checkpoints" / "step-000002.pt")
    network.load_state_dict(state["generator"])
    latents = torch.stack([torch.randn(6, generator=generator_for("sample", 5, i)) for i in range(4)])
    with torch.no_grad():
        wanted = (network.eval()(latents, torch.arange(4) % CLASSES) + 1) * 127.5
    difference = run.sample(4, seed=5).float() - wanted
    assert difference.abs().max() <= 0.5 + 1e-3


def test_a_damaged_or_foreign_generator_file_is_refused(run, tmp_path):
    path = shutil.copy(run.folder / "generator.safetensors", tmp_path)
    content = bytearray(Path(path).read_bytes())
    for position, part in [(len(content) - 5, "hash"), (20, "damaged")]:
        bad = bytearray(content)
        bad[position] ^= 4
        (tmp_path / "bad.safetensors").write_bytes(bad)
        with pytest.raises(SparringError, match=part):
            sparring.load(tmp_path / "bad.safetensors")
    from safetensors.torch import load, save_file

    described = {k: v for k, v in sparring.load(run).description.items() if k != "latent_size"}
    save_file(load(Path(path).read_bytes()), tmp_path / "lacks.safetensors", {"sparring": json.dumps(described)})
    with pytest.raises(SparringError, match="latent_size is a whole number"):
        sparring.load(tmp_path / "lacks.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(SparringError, match="was not written by sparring"):
        sparring.load(tmp_path / "other.safetensors")


def test_a_generator_file_can_only_call_networks(tmp_path):
    from sparring.run.saved import save_generator

    (tmp_path / "evil").mkdir()
    network = {"kind": "os:mkdir", "options": {"path": str(tmp_path / "made")}}
    described = {"network": network, "given": {}, "latent_size": 1, "num_classes": 0, "class_names": [], "step": 1}
    save_generator(tmp_path / "evil", torch.nn.Linear(1, 1), described)
    with pytest.raises(
        SparringError, match=r"names code .*: os:mkdir \(generator\)\. If you trust it, add --allow-code"
    ):
        sparring.load(tmp_path / "evil")
    with pytest.raises(SparringError, match="not a subclass of"):
        sparring.load(tmp_path / "evil", allow_code=True)
    assert not (tmp_path / "made").exists()


def test_a_users_generator_gets_its_labels(images, tmp_path):
    recipe = tiny_recipe(steps=1)
    recipe["generator"] = {"network": "users_modules:LabelledGenerator", "latent_size": 6}
    run = sparring.train(recipe, out=tmp_path / "run", data=images)
    description = json.loads((run.folder / "generator.json").read_text())
    assert description["num_classes"] == CLASSES and run.sample(4, labels="class-2").shape == (4, 1, 8, 8)


# --- images from Python ---
class _Photos(torch.utils.data.Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, i):
        return np.full((8, 8), 10 * i, np.uint8), i % 2


@pytest.mark.parametrize("kind", ["array", "pair", "dataset"])
def test_images_may_come_from_python(kind, tmp_path):
    pixels = tiny_images().images.permute(0, 2, 3, 1).numpy()
    data = {"array": pixels, "pair": (pixels, np.arange(40) % 2), "dataset": _Photos()}[kind]
    run = sparring.train(tiny_recipe(steps=1, data="x"), out=tmp_path / "run", data=data)
    assert run.recipe.data.source.startswith("python:")
    with pytest.raises(SparringError, match=r"came from Python.*data=\.\.\."):
        sparring.train(run.folder, {"steps": 2}, resume=True)
    assert sparring.train(run.folder, {"steps": 2}, resume=True, data=data).recipe.steps == 2


def test_a_shipped_recipe_takes_a_users_images(tmp_path, images):
    changes = {"steps": 1, "evaluation": None, "threads": 1, "generator.network.width": 4, "batch_size": 4}
    run = sparring.train("quickstart", changes | {"discriminator.network.width": 4}, out=tmp_path / "run", data=images)
    assert run.recipe.data.size is None and run.sample(2).shape == (2, 1, 8, 8)


# --- the process ---
def test_the_process_is_left_unchanged(images, tmp_path):
    torch.manual_seed(1), np.random.seed(2), random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.get_num_threads()
    sparring.train(tiny_recipe(steps=1, threads=before[3] + 1), out=tmp_path / "a", data=images)
    with pytest.raises(SparringError):
        sparring.train(tiny_recipe(objective={"x": {"kind": "users_modules:Nothing"}}), out=tmp_path / "b", data=images)
    sparring.load(tmp_path / "a").sample(3)
    sparring.show(tiny_recipe(data={"source": "x", "size": 8, "channels": 1, "num_classes": 0}))
    assert torch.equal(torch.get_rng_state(), before[0]) and (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2] and torch.get_num_threads() == before[3]
    assert (torch.full((1,), 1e-40) * 1.5).item() > 0  # subnormal numbers are not flushed


@pytest.mark.parametrize(
    "objective",
    [
        {"hinge": {}, "r1": {"every": 2}, "lecam": {"start": 1}},
        {"wasserstein": {}, "gradient_penalty": {}},
        {"hinge": {}, "as_gan": {"warmup": 1}, "sdp": {"t": 1}, "feature_matching": {}},
    ],
)
def test_a_step_never_waits_for_the_device(objective, images, monkeypatch):
    from sparring.recipe.gan import Recipe

    recipe = Recipe.load(tiny_recipe(objective=objective, d_steps=2, data={"source": "x", "flip": True}))
    state = build(recipe, images, runtime=Runtime())
    train_step(state)

    def read(self, *_):
        raise AssertionError("a step reads a value back from the device")

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, read)
    train_step(state)
    train_step(state)
    monkeypatch.undo()
    assert state.step == 3
    state.check_finite()


def test_trackers_get_the_recipe_numbers_and_pictures(images, tmp_path):
    class Everything:
        def __init__(self):
            self.seen = []

        def config(self, recipe):
            self.seen.append(("config", recipe["steps"]))

        def scalars(self, values, step):
            self.seen.append(("scalars", step, "generator/hinge" in values))

        def images(self, name, images, step):
            self.seen.append((name, step, images.dtype))

        def close(self):
            self.seen.append("closed")

    tracker = Everything()
    sparring.train(tiny_recipe(steps=2), out=tmp_path / "run", data=images, trackers=[tracker])
    assert tracker.seen == [
        ("config", 2),
        ("samples", 0, torch.uint8),
        ("scalars", 2, True),
        ("samples", 2, torch.uint8),
        "closed",
    ]


def test_the_log_has_the_losses(images, tmp_path):
    from sparring.recipe.gan import Recipe

    run = sparring.train(tiny_recipe(steps=4, log_every=2), out=tmp_path / "run", data=images)
    state = build(Recipe.load(tiny_recipe(steps=4)), images)
    wanted = []
    for _ in range(4):
        train_step(state)
        wanted.append(state.term_log.tick())
    for row, pair in zip(run.log, (wanted[:2], wanted[2:]), strict=True):
        for key in pair[0]:
            assert row[key] == pytest.approx((pair[0][key] + pair[1][key]) / 2, rel=1e-6, abs=1e-7)
        assert (row["update"], row["images"]) == (row["step"], 8 * row["step"])


# --- another run to start from ---
def test_starting_from_another_run(images, tmp_path):
    first = sparring.train(tiny_recipe(steps=3), out=tmp_path / "first", data=images)
    lines = []
    changed = tiny_recipe(objective={"wasserstein": {}, "multi_hinge": {}}, steps=2, checkpoint_every=1)
    changed["generator"] = changed["generator"] | {"ema": 0.9}
    second = sparring.train(changed, out=tmp_path / "second", data=images, start_from=first, note=lines.append)
    start = load_checkpoint(first.folder / "checkpoints" / "step-000003.pt")
    recorded = json.loads((second.folder / "recipe.json").read_text())
    assert recorded["origin"]["step"] == 3 and recorded["recipe"]["start_from"] == str(first.folder)
    assert any("discriminator: starts afresh in heads.class_logits" in line for line in lines)

    with pytest.raises(KeyboardInterrupt):
        sparring.train(changed, out=tmp_path / "third", data=images, start_from=first, progress=_interrupted_at_once)
    third = tmp_path / "third"
    begun = load_checkpoint(third / "checkpoints" / "step-000000.pt")
    same_bits(dict(begun["generator"]), dict(start["generator"]))
    same_bits(dict(begun["average"]), dict(start["generator"]))
    same_bits(begun["optimizers"]["generator"], start["optimizers"]["generator"])
    same_bits({k: begun["discriminator"][k] for k in start["discriminator"]}, dict(start["discriminator"]))
    shutil.rmtree(first.folder)  # the run keeps its own copy of the start
    sparring.train(changed, out=third, data=images, resume=True)
    same_bits(*(load_checkpoint(f / "checkpoints" / "step-000002.pt") for f in (second.folder, third)))


def _interrupted_at_once(start, total):
    raise KeyboardInterrupt


def test_nothing_to_start_from(images, tmp_path):
    run = sparring.train(tiny_recipe(steps=1), out=tmp_path / "run", data=images)
    other = tiny_recipe(generator={"network": "users_modules:NoisyGenerator"})
    with pytest.raises(SparringError, match=r"nothing of .* fits this recipe's generator"):
        sparring.train(other, out=tmp_path / "other", data=images, start_from=run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SparringError, match="has no checkpoint to start from"):
        sparring.train(tiny_recipe(), out=tmp_path / "other", data=images, start_from=tmp_path / "empty")


@pytest.mark.parametrize(
    "part", [{"optimizers": {"generator": 5}}, {"average": torch.ones(2)}, {"discriminator": {}}, {"generator": None}]
)
def test_networks_of_another_form_are_named(part, run, images, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    newest = CheckpointFolder(folder / "checkpoints")
    path = newest.path(newest.last())
    save_checkpoint(path, {**load_checkpoint(path), **part})
    with pytest.raises(SparringError, match=r"\.pt (does not fit this run|holds no networks)|^nothing of .*\.pt fits"):
        sparring.train(tiny_recipe(), out=tmp_path / "other", data=images, start_from=folder)
    if "optimizers" not in part:
        with pytest.raises(SparringError, match=r"\.pt does not fit this run"):
            OpenedRun(folder, data=images).subject()


# --- the dry run ---
@pytest.mark.parametrize(
    ("objective", "more"),
    [
        ({"hinge": {}}, {"d_steps": 2}),
        ({"hinge": {}, "r1": {"every": 4}}, {}),
        ({"wasserstein": {}, "gradient_penalty": {"every": 2}}, {"accumulate": 2}),
        ({"non_saturating": {}, "as_gan": {"warmup": 0}, "sdp": {"t": 0}}, {}),
    ],
)
def test_show_reports_the_costs_of_a_real_run(objective, more, images, monkeypatch):
    from sparring.networks.discriminator import Discriminator
    from sparring.recipe.gan import Recipe

    values = tiny_recipe(
        objective=objective, steps=8, data={"source": "x", "size": 8, "channels": 1, "num_classes": 3}, **more
    )
    told = sparring.show(values)
    passes, rows = [0, 0], [0, 0]
    state = build(Recipe.load(values), images)

    def counted(which, function):
        def count(*given):
            tensor = next(g for g in given if isinstance(g, torch.Tensor))
            passes[which] += 1
            rows[which] += len(tensor)
            return function(*given)

        return count

    monkeypatch.setattr(Discriminator, "extract", counted(0, Discriminator.extract))
    monkeypatch.setattr(type(state.generator), "forward", counted(1, type(state.generator).forward))
    for _ in range(8):
        train_step(state)
    for which, player in enumerate(("discriminator", "generator")):
        assert told["per_step"][player] == {"passes": passes[which] / 8, "rows": rows[which] / 8}
        assert told["parameters"][player] == sum(p.numel() for p in getattr(state, player).parameters())


def test_show_reports_what_terms_need(images):
    objective = {"hinge": {}, "r1": {"every": 16, "weight": {"knots": [[0, 1], [100, 3]]}}}
    told = sparring.show(
        tiny_recipe(objective=objective, steps=100, data={"source": "x", "size": 8, "channels": 1, "num_classes": 0})
    )
    host, penalty = told["terms"]
    assert host["host"] and host["players"] == ["discriminator", "generator"] and host["heads"] == ["score"]
    assert penalty["players"] == ["discriminator"] and penalty["every"] == 16
    assert penalty["weight"]["discriminator"] == {"0": 1, "25": 1.5, "50": 2, "75": 2.5, "100": 3}
    assert json.dumps(told)


def test_a_scaled_recipe_keeps_its_proportions():
    from sparring.recipe.gan import Recipe

    values = tiny_recipe(steps=1000, objective={"hinge": {}, "as_gan": {"warmup": 300}, "sdp": {"t": 200, "I_p": 100}})
    values["generator"] = values["generator"] | {"ema": {"decay": 0.9, "start": 500}}
    values["generator"]["optimizer"] = {"lr": {"knots": [[0, 1e-3], [1000, 0]]}}
    short = Recipe.load(values, ["scale=0.1"])
    assert short.steps == 100 and short.generator.ema.start == 50
    assert short.generator.optimizer.lr.knots == ((0, 1e-3), (100, 0.0))
    assert short.objective.terms["as_gan"].warmup == 30 and short.objective.terms["sdp"].t == 20
    assert Recipe.load(short.to_dict()) == short
