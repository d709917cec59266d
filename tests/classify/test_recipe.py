"""A classifier's recipe: one line makes it another method, and every mistake is one line."""

import json
import math

import pytest
from tiny_classifiers import TINY

from sparring.classify.recipe import ClassifierRecipe
from sparring.errors import SparringError
from sparring.recipe.files import shipped_recipes


def load(**changes):
    return ClassifierRecipe.load(TINY, changes)


def test_one_line_makes_it_a_baseline_nat_or_an_extra_class():
    for kind in ("baseline", "nat", "extra_class"):
        recipe = ClassifierRecipe.load(TINY, [f"criterion={kind}"])
        rest = {key: value for key, value in recipe.to_dict().items() if key != "criterion"}
        assert recipe.criterion.kind == kind
        assert rest == {key: value for key, value in load().to_dict().items() if key != "criterion"}


@pytest.mark.parametrize("kind", ["baseline", "nat", "extra_class"])
def test_one_line_of_the_demo_makes_it_any_of_them(kind):
    recipe = ClassifierRecipe.load("nat/demo", [f"criterion={kind}"])
    assert [c.kind for c in recipe.classifiers] == (["baseline"] if kind == "baseline" else ["baseline", kind])


def test_other_negatives_join_the_batch_as_the_old_ones_did():
    """And are otherwise nothing of the old ones: neither their classes nor their split."""
    old = {"negatives": {"source": "x", "split": "test", "classes": ["a"], "per_batch": 7, "placement": "inside"}}
    for values in ({**TINY, **old}, ClassifierRecipe.load({**TINY, **old})):
        found = ClassifierRecipe.load(values, ["negatives=noise:normal"]).negatives
        assert (found.source, found.per_batch, found.placement) == ("noise:normal", 7, "inside")
        assert found.split is None and found.classes is None
    demo = ClassifierRecipe.load("nat/demo", ["negatives.per_batch=3", "negatives=noise:normal"]).negatives
    assert (demo.source, demo.per_batch, demo.classes) == ("noise:normal", 3, None)
    assert ClassifierRecipe.load({**TINY, "negatives": "x"}, ["negatives=y"]).negatives.source == "y"


def test_a_range_of_negatives_may_be_written_with_a_dash():
    assert ClassifierRecipe.load(TINY, ["negatives.per_batch=5-25"]).negatives.range == (5, 25)
    assert ClassifierRecipe.load(TINY, ["negatives.per_batch=[5, 25]"]).negatives.range == (5, 25)


def test_options_of_the_criterion_can_be_set_and_another_criterion_keeps_none_of_them():
    weighted = ClassifierRecipe.load(TINY, ["criterion.neg_weight=0.5", "criterion.kind=nat"])
    assert weighted.criterion.options == {"neg_weight": 0.5}
    refined = ClassifierRecipe.load({**TINY, "criterion": "nat"}, ["criterion.divergence=js"])
    assert refined.criterion.options == {"divergence": "js"}
    assert ClassifierRecipe.load(refined, ["criterion=baseline"]).criterion.options == {}


def test_refining_a_probe_keeps_the_source_that_its_short_form_names():
    values = {**TINY, "probes": {"a": "elsewhere", "two words": "sklearn:digits"}}
    overrides = ["probes.a.classes=[cat]", "probes.two words.split=test", "probes.new.source=b"]
    probes = ClassifierRecipe.load(values, overrides).probes
    assert (probes["a"].source, probes["a"].classes) == ("elsewhere", ["cat"])
    assert (probes["two words"].source, probes["two words"].split) == ("sklearn:digits", "test")
    assert probes["new"].source == "b"


def test_a_recipe_that_extends_another_refines_its_short_forms(tmp_path):
    base = "data: pictures\ntest: others\ncriterion: extra_class\nnegatives: bags\nprobes: {a: elsewhere}\nsteps: 1\n"
    (tmp_path / "base.yaml").write_text(base)
    refined = "extends: base\ntest: {split: b}\ncriterion: {kind: nat, neg_weight: 2}\nprobes: {a: {split: c}}\n"
    (tmp_path / "refined.yaml").write_text(refined)
    recipe = ClassifierRecipe.load(tmp_path / "refined.yaml")
    assert (recipe.test.source, recipe.test.split) == ("others", "b")
    assert (recipe.probes["a"].source, recipe.probes["a"].split) == ("elsewhere", "c")
    (tmp_path / "refined.yaml").write_text("extends: base\nbeside: []\ncriterion: {}\n")
    assert ClassifierRecipe.load(tmp_path / "refined.yaml").criterion.kind == "extra_class"


def test_it_reads_back_what_it_writes():
    recipe = load(
        **{"beside": ["baseline"], "probes.a": "noise:normal", "negatives.per_batch": [2, 5], "test": {"split": "x"}}
    )
    assert ClassifierRecipe.load(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_scale_shortens_steps_and_the_learning_rates_course():
    recipe = load(**{"steps": 1000, "optimizer.lr": {"knots": [[0, 0.0], [100, 0.1]]}, "checkpoint_every": 200})
    short = ClassifierRecipe.load(recipe, ["scale=0.1"])
    assert (short.steps, short.checkpoint_every, short.optimizer.lr.knots) == (100, 20, ((0, 0.0), (10, 0.1)))


def test_the_learning_rate_follows_half_a_cosine_to_zero():
    optimizer = load(**{"optimizer.lr": 0.2}).optimizer
    assert optimizer.rate(0, 100) == 0.2
    assert optimizer.rate(50, 100) == pytest.approx(0.1)
    assert optimizer.rate(25, 100) == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
    assert optimizer.rate(100, 100) == pytest.approx(0)
    assert load(**{"optimizer.lr": 0.2, "optimizer.decay": "none"}).optimizer.rate(99, 100) == 0.2


def test_the_papers_settings_are_the_defaults():
    recipe = ClassifierRecipe.load({"data": "x", "negatives": "y", "steps": 1})
    assert recipe.negatives.range == (5, 25) and recipe.negatives.placement == "on_top" and recipe.batch_size == 128
    assert recipe.thresholds == (0.4, 0.6, 0.8, 0.9) and recipe.network.kind == "resnet18"
    optimizer = recipe.optimizer
    assert (optimizer.kind, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.1, 0.9, 5e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"negatives": None}, "criterion nat needs negatives: give them"),
        ({"negatives": None, "criterion": "extra_class"}, "criterion extra_class needs negatives"),
        ({"criterion": "nta"}, "unknown criterion 'nta': did you mean 'nat'"),
        (
            {"criterion": {"kind": "nat", "weight": 2}},
            "criterion 'nat' has no option 'weight': did you mean 'neg_weight'",
        ),
        ({"criterion": {"kind": "baseline", "neg_weight": 2}}, "criterion 'baseline' has no option 'neg_weight'"),
        ({"criterion": {"kind": "nat", "divergence": "kll"}}, "option 'divergence' takes one of 'kl'"),
        ({"network": "resnet81"}, "unknown network 'resnet81': did you mean 'resnet18'"),
        ({"network": {"kind": "resnet18", "widht": 3}}, "no option 'widht': did you mean 'width'"),
        ({"network": "torchvision:resnet19"}, "no classifier 'resnet19': did you mean 'resnet1"),
        ({"negatives.per_batch": 0}, "negatives.per_batch: takes a whole number from 1"),
        ({"negatives.per_batch": [9, 3]}, "in ascending order: [3, 9], got [9, 3]"),
        ({"negatives.per_batch": "7-5"}, "in ascending order: [5, 7], got [7, 5]"),
        ({"negatives.per_batch": [3, 0]}, "such as"),
        (
            {"negatives.placement": "inside", "negatives.per_batch": 12},
            "inside a batch of 12 leaves no positives: at most 11",
        ),
        ({"negatives.placement": "ontop"}, "negatives.placement takes one of 'on_top' or 'inside'"),
        ({"beside": ["baseline", "baseline"]}, "each classifier of a run needs its own criterion"),
        ({"beside": [{"kind": "nat", "neg_weight": 2}]}, "each classifier of a run needs its own criterion"),
        ({"negatives.per_batch": "5 to 25"}, "such as"),
        ({"negatvies": "x"}, "unknown key negatvies: did you mean 'negatives'"),
        ({"probes.a.splitt": "x"}, "unknown key probes.a.splitt"),
        ({"data.size": "big"}, "data.size takes a whole number"),
        ({"steps": 0}, "steps: "),
        ({"steps": True}, "steps"),
        ({"thresholds": [1.2]}, "thresholds"),
        ({"false_alarm_rate": 0}, "false_alarm_rate"),
        ({"validation": 0.9}, "validation"),
        ({"optimizer.lr": -1}, "optimizer.lr"),
    ],
)
def test_a_mistake_is_one_line(changes, words):
    with pytest.raises(SparringError, match=words.replace("[", r"\[")) as caught:
        load(**changes)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_named_with_the_nearest():
    with pytest.raises(SparringError, match=r"unknown recipe 'nat/dmo': did you mean 'nat/demo'"):
        ClassifierRecipe.load("nat/dmo")


@pytest.mark.parametrize("name", shipped_recipes("classifier"))
def test_every_shipped_recipe_is_valid_and_says_what_it_is(name):
    recipe = ClassifierRecipe.load(name)
    assert recipe.name == name and len(recipe.about) > 20 and recipe.probes
