"""Code that a user writes, names or installs runs, and what it does wrong is one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from strangers import CODE, Cli, change_recipe, module, own_recipe, refused, rename_in_generator

import sparring
from tiny import tiny_recipe


# --- found and told apart ---
def test_case_02_ones_own_recipe_finds_its_modules_and_resumes_without_being_asked(here: Path, cli: Cli) -> None:
    mine = own_recipe(here, here / "project")
    assert cli("train", mine, "--out", "r")[0] == 0
    code, text = cli("train", mine, "steps=3", "--resume", "--out", "r")
    assert code == 0, text
    (here / "project" / "marker").unlink()
    del sys.modules[module(here)]
    code, text = cli("train", "r", "steps=4", "--resume")
    refused(code, text, f"{module(here)}:G (generator)", here / "project" / "marker")
    assert "sparring train RECIPE --resume --out r" in text
    other = {"generator.network": {"kind": "dcgan", "width": 4}}
    with pytest.raises(sparring.SparringError, match=r"started with another recipe: 'r/recipe\.json' names code"):
        sparring.train(mine, {**other, "steps": 5}, resume=True, out="r")


def test_a_recipe_extends_another_whose_modules_lie_beside_that_one(here: Path, cli: Cli) -> None:
    own_recipe(here, here / "base")
    (here / "on_top").mkdir()
    (here / "on_top" / "mine.yaml").write_text("extends: ../base/mine.yaml\nsteps: 1\n")
    code, text = cli("show", here / "on_top" / "mine.yaml")
    assert code == 0 and (here / "base" / "marker").exists(), text


def test_a_run_of_this_process_samples_its_own_generator(here: Path) -> None:
    run = sparring.train(own_recipe(here, here / "project"), out="r")
    assert run.sample(2).shape == sparring.sample(run, 2).shape == sparring.load(run).sample(2).shape
    assert run.recipe.generator.network.kind == sparring.show(run)["recipe"]["generator"]["network"]["kind"]
    assert sparring.train(run, {"steps": 3}, resume=True, out="r").recipe.steps == 3
    records = sparring.evaluate(run, real="images.npz", extractor="classifier", n=4, metrics="fd")
    assert len(records) == 1
    with pytest.raises(sparring.SparringError, match="names code that does not ship"):
        sparring.sample("r", 2)
    rename_in_generator(here / "gan", "elsewhere:G")
    with pytest.raises(sparring.SparringError, match=r"names code that does not ship with sparring: elsewhere:G"):
        sparring.evaluate(run, real="gan", extractor="classifier", n=4, n_real=4, metrics="fd")


def test_starting_from_a_run_imports_none_of_its_code(here: Path) -> None:
    change_recipe(here / "gan", generator__network__kind=f"{module(here)}:G")
    rename_in_generator(here / "gan", f"{module(here)}:G")
    mine = tiny_recipe(data="images.npz", steps=1)
    sparring.train(mine, out="r", start_from="gan")
    assert not (here / "marker").exists()


def test_case_02_two_modules_of_one_name_do_not_mix(here: Path, cli: Cli) -> None:
    first, second = here / "one", here / "two"
    mine = own_recipe(here, first)
    second.mkdir()
    (second / "mine.yaml").write_text(mine.read_text())
    (second / f"{module(here)}.py").write_text(CODE)
    assert cli("show", mine)[0] == 0
    code, text = cli("show", second / "mine.yaml")
    assert code == 2 and f"there are two modules '{module(here)}'" in text and "rename one" in text
    assert not (second / "marker").exists()


def test_modules_that_a_recipes_modules_import_do_not_mix(here: Path, cli: Cli) -> None:
    for folder in ("one", "two"):
        (here / folder).mkdir()
        (here / folder / "stranger_helpers.py").write_text("WIDTH = 4")
        code = "import stranger_helpers\nfrom sparring.networks.dcgan import DCGANGenerator as G"
        (here / folder / f"stranger_{folder}.py").write_text(code)
        generator = {"network": {"kind": f"stranger_{folder}:G", "width": 4}, "latent_size": 6}
        (here / folder / "mine.yaml").write_text(yaml.safe_dump(tiny_recipe(data="images.npz", generator=generator)))
    assert cli("show", "one/mine.yaml")[0] == 0
    code, text = cli("show", "two/mine.yaml")
    assert code == 2 and "there are two modules 'stranger_helpers'" in text


# --- installed packages ---
def test_what_an_installed_package_registers_is_used_by_its_name(
    here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module(here)
    site = here / "site"
    (site / "plugin-1.0.dist-info").mkdir(parents=True)
    (here / f"{name}.py").rename(site / f"{name}.py")
    (site / "plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    points = f"[sparring.generators]\nmine = {name}:G\n\n[sparring.terms]\nmy_hinge = {name}:H\n"
    points += f"\n[sparring.steps]\nmy_step = {name}:train_step\n\n[sparring.criteria]\nmy_nat = {name}:NATLoss\n"
    (site / "plugin-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    generator = {"network": {"kind": "mine", "width": 4}, "latent_size": 6}
    recipe = tiny_recipe(
        data="images.npz", steps=1, generator=generator, objective={"h": {"kind": "my_hinge"}}, step="my_step"
    )
    run = sparring.train(recipe, out="r")
    written = json.loads((run.folder / "recipe.json").read_text())["recipe"]
    assert written["objective"]["h"]["kind"] == "my_hinge" and written["generator"]["network"]["kind"] == "mine"
    for words in (("show", "r"), ("sample", "r", "--n", "2", "--out", "x.png"), ("train", "r", "steps=2", "--resume")):
        code, text = cli(*words)
        assert code == 0, text
    change_recipe(here / "r", generator__network__kind=f"{name}:G")  # the same class by its path
    assert cli("show", "r")[0] == 0
    change_recipe(here / "r", generator__network__kind=f"{name}:D")
    assert cli("show", "r")[0] == 2
    code, text = cli("show", "quickstart", "objective.x.kind=my_hing")
    assert code == 2 and "did you mean 'my_hinge'?" in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (".a:b", "your own is package.module:Name"),
        ("a..b:C", "your own is package.module:Name"),
        ("a/b:C", "your own is package.module:Name"),
        ("'os:'", "your own is package.module:Name"),
        ("broken:G", "importing broken failed: no good"),
        ("lacking:G", "importing lacking failed: No module named 'nowhere_at_all'"),
        ("invalid:G", "importing invalid failed:"),
        ("nowhere_at_all:G", "there is no module 'nowhere_at_all' to import"),
    ],
)
def test_case_19_a_name_that_cannot_be_imported_is_one_line(kind: str, words: str, here: Path, cli: Cli) -> None:
    Path("broken.py").write_text("raise RuntimeError('no\\ngood')")
    Path("lacking.py").write_text("import nowhere_at_all")
    Path("invalid.py").write_text("def (:")
    code, text = cli("show", "quickstart", f"generator.network={kind}")
    assert code == 2 and text.count("\n") == 1 and words in text, text


# --- what users' networks and terms must do ---
THEIRS = """
import torch
from torch import nn
from sparring.networks.dcgan import DCGANBackbone, DCGANGenerator
from sparring import Head, Term

class Base(DCGANGenerator):
    def paint(self, images, labels): return images
    def forward(self, z, labels=None): return self.paint(super().forward(z, labels), labels)
class Nothing(Base):
    def paint(self, images, labels): return None
class Whole(Base):
    def paint(self, images, labels): return images.round().long()
class One(Base):
    def paint(self, images, labels): return images[:1]
class Raises(Base):
    def paint(self, images, labels): raise KeyError("what\\nnow")
class Bare(nn.Module):
    def __init__(self, *, latent_size: int): super().__init__(); self.a = nn.Linear(latent_size, 1)
class Empty(nn.Module):
    def forward(self, z, labels=None): return z
class Unbuilt(nn.Module):
    def __init__(self): raise RuntimeError("no")
class OnlyLatents(Base):
    def forward(self, z): return super().forward(z)
class Tied(nn.Module):
    def __init__(self, *, latent_size: int, image_size: int):
        super().__init__(); self.size = image_size; self.a = nn.Linear(latent_size, image_size**2)
        self.b = nn.Linear(latent_size, image_size**2); self.b.weight = self.a.weight
    def forward(self, z, labels=None): return torch.tanh(self.a(z) + self.b(z)).view(-1, 1, self.size, self.size)

class Back(DCGANBackbone):
    def answer(self, features, blocks): return features, blocks
    def forward(self, images, labels=None): return self.answer(*super().forward(images, labels))
class NoPair(Back):
    def answer(self, features, blocks): return features
class NoFeatures(Back):
    def answer(self, features, blocks): return None, blocks
class NoBlocks(Back):
    def answer(self, features, blocks): return features, None
class Narrow(Back):
    def answer(self, features, blocks): return features[:, :1], blocks
class InPlace(nn.Module):
    channels = 4
    def __init__(self, *, image_size: int):
        super().__init__(); self.a, self.b = nn.Linear(image_size**2, 4), nn.Linear(4, 4)
    def forward(self, images, labels=None):
        h = torch.exp(self.a(images.flatten(1))); return self.b(h.add_(1)), []
class Wordy(nn.Module):
    channels = "many"
class FlatHead(Back):
    def make_head(self, name, outputs): return nn.Flatten(0)
class NoHead(Back):
    def make_head(self, name, outputs): return None

class Mine(Term):
    def needs(self, player, update): return {"real"} if player == "discriminator" else set()
class MakesATensor(Mine):
    def discriminator_loss(self, r): return (r.real.score * torch.ones(len(r.real))).mean()
class ReadsAValue(Mine):
    def discriminator_loss(self, r): return r.real.score.mean() if r.real.score.mean().item() > 9 else r.real.score.mean()
class Vector(Mine):
    def discriminator_loss(self, r): return r.real.score
class Number(Mine):
    def discriminator_loss(self, r): return 1.0
class Fails(Mine):
    def discriminator_loss(self, r): return r.real.nothing
class BadNeeds(Term):
    def needs(self, player, update): return None
class BadHeads(Mine):
    def heads(self): return Head(name="x")
class NoMemory(Mine):
    def initial_state(self): raise RuntimeError("lost")
def bad_step(s): raise IndexError("no such step")
"""
BROKEN = [  # key, value, verb, words
    (
        "generator.network",
        "Nothing",
        "show",
        "generator {}:Nothing returns NoneType for 2 latents: a generator is",
    ),
    ("generator.network", "Whole", "show", "returns [2, 1, 8, 8] torch.int64 for 2 latents"),
    ("generator.network", "One", "show", "returns [1, 1, 8, 8] for 2 latents"),
    ("generator.network", "Raises", "show", "generator {}:Raises on latents [2, 6] failed: 'what\\nnow'"),
    ("generator.network", "Bare", "show", "generator {}:Bare on latents [2, 6] failed"),
    ("generator.network", "Empty", "show", "has no parameters to train"),
    ("generator.network", "Unbuilt", "show", "cannot be built: no"),
    ("generator.network", "OnlyLatents", "show", "OnlyLatents on latents [2, 6] failed"),
    (
        "discriminator.network",
        "NoPair",
        "show",
        "backbone {}:NoPair returns [2, 64] for 2 images: a backbone is",
    ),
    ("discriminator.network", "NoFeatures", "show", "returns features NoneType for 2 images"),
    ("discriminator.network", "NoBlocks", "show", "returns blocks that are no"),
    (
        "discriminator.network",
        "Narrow",
        "show",
        "returns features [2, 1] for 2 images, and its `channels` promise [2, ",
    ),
    ("discriminator.network", "InPlace", "train", "may be changed in place"),
    ("discriminator.network", "Wordy", "show", "a whole number from 1"),
    ("discriminator.network", "FlatHead", "show", "head 'score' of backbone {}:FlatHead returns"),
    ("discriminator.network", "NoHead", "show", "make_head of backbone {}:NoHead returns NoneType for 'score'"),
    ("objective.x.kind", "ReadsAValue", "show", "term x ({}:ReadsAValue) in discriminator_loss failed"),
    (
        "objective.x.kind",
        "Vector",
        "train",
        "term x ({}:Vector) returns [8] from discriminator_loss: a loss is a scalar",
    ),
    ("objective.x.kind", "Number", "show", "term x ({}:Number) returns float from discriminator_loss"),
    (
        "objective.x.kind",
        "Fails",
        "train",
        "term x ({}:Fails) in discriminator_loss failed: 'Side' object has no attribute",
    ),
    ("objective.x.kind", "BadNeeds", "show", "needs() of x returns a set"),
    ("objective.x.kind", "BadHeads", "show", "heads() of term x ({}:BadHeads) returns a tuple of Head"),
    ("objective.x.kind", "NoMemory", "show", "term x ({}:NoMemory) cannot be used: lost"),
    ("step", "bad_step", "train", "step 0 failed, with {}:bad_step: no such step"),
]


@pytest.mark.parametrize(
    ("key", "name", "verb", "words"), BROKEN, ids=lambda value: value if str(value).isalpha() else ""
)
def test_case_21_what_a_users_code_does_wrong_is_one_line(
    key: str, name: str, verb: str, words: str, here: Path, cli: Cli
) -> None:
    theirs = module(here)
    Path(f"{theirs}.py").write_text(THEIRS)
    data = {"source": "images.npz", "size": 8, "channels": 1, "num_classes": 3}
    values = tiny_recipe(data=data, steps=1)
    if "generator" in key and name in ("Bare", "Empty", "Unbuilt"):
        values["generator"]["network"] = {"kind": "dcgan"}
    if name in ("InPlace", "Wordy"):
        values["discriminator"]["network"] = {"kind": "dcgan"}
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    kind = {key: f"{theirs}:{name}"} if key != "step" else {"step": f"{theirs}:{name}"}
    if key.endswith("network"):
        kind = {f"{key}.kind": f"{theirs}:{name}"}
        if name in ("Bare", "Empty", "Unbuilt", "InPlace", "Wordy"):
            kind = {key: f"{theirs}:{name}"}
        elif key.startswith("d"):
            kind |= {f"{key}.normalisation": "none", f"{key}.width": "4"}
        else:
            kind |= {f"{key}.width": "4"}
    overrides = [f"{k}={v}" for k, v in kind.items()]
    code, text = cli(verb, "mine.yaml", *overrides, *(["--out", "r"] if verb == "train" else []))
    assert code == 2 and "Traceback" not in text and text.count("sparring: ") == 1, text
    assert words.replace("{}", theirs) in text.splitlines()[-1], text


def test_case_21_a_term_that_makes_a_tensor_is_shown_and_trained(here: Path, cli: Cli) -> None:
    Path(f"{module(here)}.py").write_text(THEIRS)
    data = {"source": "images.npz", "size": 8, "channels": 1, "num_classes": 3}
    generator = {"network": f"{module(here)}:Tied", "latent_size": 6}
    values = tiny_recipe(data=data, steps=1, generator=generator)
    values["objective"]["mine"] = {"kind": f"{module(here)}:MakesATensor"}
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    for words in (
        ["show", "mine.yaml"],
        ["train", "mine.yaml", "--out", "r"],
        ["sample", "r", "--allow-code", "--out", "x.png"],
    ):
        code, text = cli(*words)
        assert code == 0, text


class Projection(torch.nn.Module):
    """A user's projection discriminator, which does not handle samples without a class."""

    def __init__(self) -> None:
        super().__init__()
        self.look, self.score, self.classes = torch.nn.Linear(4, 5), torch.nn.Linear(5, 1), torch.nn.Embedding(3, 5)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        h = torch.relu(self.look(images))
        score = self.score(h)[:, 0] + (h * self.classes(labels)).sum(1)
        return {"score": score, "class_logits": h @ self.classes.weight.t()}


REAL, FAKE, LABELS = torch.rand(6, 4), torch.rand(6, 4), torch.arange(6) % 3


def test_case_21_negatives_on_a_projection_discriminator_say_what_label_minus_one_is() -> None:
    objective = sparring.Objective(hinge=sparring.Hinge(), negatives=sparring.Negatives())
    attached = objective.attach(Projection())
    given = {"step": 0, "labels": LABELS, "fake_labels": LABELS}
    with pytest.raises(
        sparring.SparringError, match=r"Projection on images .* index out of .* label -1 is a sample"
    ) as e:
        objective.discriminator(attached, REAL, FAKE, negative=torch.rand(3, 4), **given)
    assert "\n" not in str(e.value) and isinstance(e.value.__cause__, IndexError)


def test_case_21_semi_supervised_says_why_it_cannot_relabel() -> None:
    terms = {"hinge": sparring.Hinge(), "aux": sparring.AuxiliaryClassifier(), "semi": sparring.SemiSupervised()}
    objective = sparring.Objective(terms)
    attached = objective.attach(Tolerant(), num_classes=3)
    with pytest.raises(
        sparring.SparringError, match=r"semi scores samples under other labels .* reads labels in its own"
    ):
        objective.discriminator(
            attached, REAL, FAKE, step=0, labels=LABELS, fake_labels=LABELS, unlabelled=torch.rand(6, 4)
        )


class Tolerant(Projection):
    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return super().forward(images, labels.clamp_min(0))


@pytest.mark.parametrize(
    ("module_", "given", "words"),
    [
        (torch.nn.Linear(4, 2), {}, "score should be one number per image"),
        (torch.nn.Module(), {}, "torch.nn.modules.module:Module on images .* failed"),
        (torch.nn.Linear(9, 1), {}, "torch.nn.modules.linear:Linear on images .* failed"),
        (Projection(), {"labels": None, "fake_labels": None}, "it takes labels: pass labels= and fake_labels="),
        (Projection(), {"labels": LABELS.float()}, r"labels of 6 real samples are int64 \[6\], got \[6\]"),
        (Projection(), {"fake_labels": None}, "label -1 is a sample without a class"),
    ],
)
def test_case_21_a_loop_of_ones_own_says_what_is_wrong(module_: Any, given: dict[str, Any], words: str) -> None:
    objective = sparring.Objective(hinge=sparring.Hinge())
    with pytest.raises(sparring.SparringError, match=words) as caught:
        attached = objective.attach(module_)
        objective.discriminator(attached, REAL, FAKE, step=0, **{"labels": LABELS, "fake_labels": LABELS, **given})
    assert "\n" not in str(caught.value)
