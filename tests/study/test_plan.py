"""Plans: what they say, and that a mistake in one is refused before anything runs, for all rows at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparring.errors import SparringError
from sparring.study.check import check_on_data
from sparring.study.plan import Plan
from sparring.study.resolve import resolve

SMALL = {
    "data": "fashion-mnist-10k",
    "generator.network.width": 4,
    "discriminator.network.width": 4,
    "steps": 3,
    "batch_size": 8,
    "evaluation": {"n": 20, "metrics": ["fd"]},
}
SMALL_OF_ANY_LENGTH = {key: value for key, value in SMALL.items() if key != "steps"}


def plan(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tried",
        "seeds": 2,
        "scales": {"smoke": {"set": SMALL}},
        "rows": {"one": {"recipe": "quickstart"}, "two": {"recipe": "quickstart", "set": {"objective.r1.weight": 2}}},
        "claims": [{"says": "two is better", "row": "two", "against": "one", "metric": "fd", "direction": "lower"}],
        **changes,
    }


def claim(**changes: Any) -> dict[str, Any]:
    return {"claims": [{**plan()["claims"][0], **changes}]}


def rows(**more: Any) -> dict[str, Any]:
    return {"rows": {**plan()["rows"], **more}}


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown recipe": (rows(three={"recipe": "quickstrat"}), "row 'three': unknown recipe 'quickstrat': did you mean"),
    "unknown key": (rows(three={"recipe": "quickstart", "set": {"stepz": 3}}), "row 'three': unknown key stepz"),
    "unknown key at a scale": ({"scales": {"smoke": {"set": {"stepz": 3}}}}, "rows 'one', 'two': unknown key stepz"),
    "unknown key of the plan": ({"seedz": 3}, "unknown key seedz: did you mean 'seeds'"),
    "unknown key of a row": (rows(three={"recipie": "quickstart"}), "unknown key rows.three.recipie: did you mean"),
    "no row": ({"rows": {}}, "rows"),
    "both kinds": (rows(three={"recipe": "quickstart", "toy": {"world": "ring-8"}}), "takes either recipe or toy"),
    "unknown row in a claim": (claim(against="three"), "claim 1: there is no row 'three'"),
    "a claim about itself": (claim(against="two"), "compares 'two' with itself"),
    "two tests": (claim(not_better_by="10%"), "takes one of direction, not_better_by"),
    "no test": ({"claims": [{"says": "", "row": "two", "against": "one", "metric": "fd"}]}, "takes one of direction"),
    "no metric": ({"claims": [{"says": "", "row": "two", "against": "one", "direction": "lower"}]}, "takes a metric"),
    "a share above 1": (claim(direction=None, not_better_by="110%"), "not_better_by"),
    "seven claims": ({"claims": plan()["claims"] * 7}, "claims"),
    "a metric nobody knows": (claim(metric="fdd"), "metric 'fdd', which the row cannot have: it is measured by fd"),
    "a metric that is not measured": (claim(metric="is"), "'is', which the row cannot have"),
    "no evaluation": ({"scales": {"smoke": {"set": {"evaluation": None}}}}, "it is not measured: see its evaluation"),
    "collapsed by an unknown metric": ({"collapsed": {"fdd": 3}}, "collapsed names the metric 'fdd'"),
    "a paper's unknown metric": (
        rows(three={"recipe": "quickstart", "paper": {"fod": 3}}),
        "paper names the metric 'fod'",
    ),
    "from an unknown row": (rows(three={"recipe": "quickstart", "from": "four"}), "there is no row 'four'"),
    "from a circle": (
        {
            "rows": {
                "one": {"recipe": "quickstart", "from": "two"},
                "two": {"recipe": "quickstart", "from": "one"},
            }
        },
        "rows start from each other in a circle: ",
    ),
    "from itself": (rows(three={"recipe": "quickstart", "from": "three"}), "in a circle: three -> three"),
    "no seeds": ({"seeds": 0}, "seeds: takes 1 to 10,000 seeds"),
    "seeds below 0": ({"seeds": [-1]}, "seeds"),
    "seeds twice": ({"seeds": [1, 1]}, "seeds"),
    "true seeds": ({"seeds": True}, "seeds: takes a number of seeds"),
    "one folder for two rows": (rows(ONE={"recipe": "quickstart"}), "rows 'one' and 'ONE' would share a folder"),
    "a label of signs": (rows(**{"!!": {"recipe": "quickstart"}}), "a label has letters or digits"),
    "an unknown row at a scale": ({"scales": {"smoke": {"set": SMALL, "rows": ["three"]}}}, "there is no row 'three'"),
    "an unknown world": (rows(three={"toy": {"world": "ring-9"}}), "row 'three': unknown world 'ring-9'"),
    "an unknown method": (
        rows(three={"toy": {"world": "ring-8", "method": "sdb"}}),
        "row 'three': unknown method 'sdb'",
    ),
    "a term that no row has": (
        {"scales": {"smoke": {"set": {**SMALL, "objective.sdb.k": 3}}}},
        "scale smoke sets objective.sdb.k, and no row has that term",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_in_one_line(name: str) -> None:
    changes, said = MISTAKES[name]
    with pytest.raises(SparringError) as error:
        resolve(plan(**changes))
    assert said in str(error.value) and "\n" not in str(error.value), str(error.value)


def test_faults_of_all_rows_are_said_at_once() -> None:
    wrong = {f"row {i}": {"recipe": "quickstrat"} for i in range(5)} | {
        "last": {"recipe": "quickstart", "set": {"x": 1}}
    }
    with pytest.raises(SparringError) as error:
        resolve(plan(rows=wrong, claims=[]))
    assert "rows 'row 0', 'row 1', 'row 2' and 2 more: unknown recipe" in str(error.value)
    assert "; row 'last': unknown key x" in str(error.value)


def test_what_data_and_networks_do_not_allow_is_found_before_anything_runs() -> None:
    wrong = rows(
        size={"recipe": "quickstart", "set": {"data.size": 30}},
        negatives={"recipe": "quickstart", "set": {"data.classes": [77]}},
    )
    with pytest.raises(SparringError) as error:
        study = resolve(plan(**wrong))
        check_on_data(study, study.rows, lambda text: None)
    assert "row 'size': " in str(error.value) and "row 'negatives': " in str(error.value)
    unlabelled = plan(
        scales={
            "smoke": {
                "set": {
                    **SMALL,
                    "data": "noise:uniform:40",
                    "data.size": 32,
                    "data.channels": 1,
                    "evaluation": {"n": 20, "metrics": ["intra"], "extractor": "fashion"},
                }
            }
        },
        **claim(metric="intra-fd"),
    )
    study = resolve(unlabelled)
    with pytest.raises(SparringError, match="'intra' compares class by class"):
        check_on_data(study, study.rows, lambda text: None)
    usual = {**SMALL, "evaluation.metrics": None, "evaluation.extractor": None, "evaluation.n": 5}
    study = resolve(plan(scales={"smoke": {"set": usual}}, **claim(metric="is")))
    with pytest.raises(SparringError, match="'is', which the row cannot have: it is measured by fd"):
        check_on_data(study, study.rows, lambda text: None)


def test_shares_are_of_the_runs_steps_and_terms_stay_in_their_rows() -> None:
    sets = {"smoke": {"set": {"gan": {**SMALL, "steps": 200, "objective.sdp.t": "3%"}, "toy": {"steps": 40}}}}
    many = rows(sdp={"recipe": "quickstart", "set": {"objective.sdp": {"k": 2}}}, toy={"toy": {"world": "nat-1d"}})
    study = resolve(plan(scales=sets, claims=[], **many))
    assert "sdp" not in study.rows["one"].recipe["objective"]
    assert study.rows["sdp"].recipe["objective"]["sdp"]["t"] == 6
    assert study.rows["toy"].steps == 40 and study.rows["toy"].kind == "toy"
    assert study.rows["one"].recipe["threads"] == 1


def test_the_hash_of_a_plan_is_of_its_claims_and_not_of_rows_and_seeds() -> None:
    first = resolve(plan())
    assert resolve(plan(seeds=7)).hash == first.hash == resolve(plan(), seeds="100-104").hash
    assert resolve(plan(), seeds="100-104").seeds == (100, 101, 102, 103, 104)
    others = [resolve(plan(**claim(direction="higher"))), resolve(plan(collapsed={"fd": 9}))]
    assert len({first.hash, *(other.hash for other in others)}) == 3
    assert others[0].rows["one"].hash == first.rows["one"].hash
    larger = resolve(plan(), changes=["batch_size=9"])
    assert larger.hash == first.hash and larger.rows["one"].hash != first.rows["one"].hash
    assert resolve(plan(about="something else")).hash == first.hash


def test_a_row_that_starts_from_another_is_another_row_and_comes_after_it() -> None:
    tree = {
        "c": {"recipe": "quickstart", "from": "b"},
        "a": {"recipe": "quickstart"},
        "b": {"recipe": "quickstart", "from": "a"},
    }
    study = resolve(plan(rows={**tree, "d": {"recipe": "quickstart"}}, claims=[]))
    assert list(study.rows) == ["a", "b", "c", "d"]
    assert len({row.hash for row in study.rows.values()}) == 3 and study.rows["a"].hash == study.rows["d"].hash
    with pytest.raises(SparringError, match="row 'b' starts from row 'a', which is not among the chosen rows"):
        resolve(plan(rows=tree, claims=[]), rows=["b"])


def test_a_plan_reads_back_from_its_own_values(tmp_path: Path) -> None:
    for source in (plan(**rows(three={"recipe": "quickstart", "from": "one"})), "as-gan/figure-4"):
        loaded = Plan.load(source)
        assert Plan.load(loaded.to_dict()) == loaded
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(plan(name="mine")))
    assert resolve(tmp_path / "mine.yaml").hash == resolve(plan(name="mine")).hash
    (tmp_path / "list.yaml").write_text("- 1")
    for name, said in (
        ("list.yaml", "should hold"),
        ("none.yaml", "there is no plan"),
        ("as-gan/figure-5x", "did you mean 'as-gan/"),
    ):
        with pytest.raises(SparringError, match=said):
            Plan.load(str(tmp_path / name) if name.endswith("yaml") else name)
    with pytest.raises(SparringError, match=r"is a recipe: add --vary"):
        Plan.load("quickstart")


def test_a_recipe_that_varies_is_a_plan() -> None:
    study = resolve("quickstart", vary=["objective.r1.weight=1,5", "batch_size=4, 8"], changes={"steps": 3}, seeds=3)
    assert list(study.rows) == [
        "weight 1, batch_size 4",
        "weight 1, batch_size 8",
        "weight 5, batch_size 4",
        "weight 5, batch_size 8",
    ]
    assert study.folder_name == "quickstart-objective.r1.weight-batch_size-full" and study.seeds == (0, 1, 2)
    last = study.rows["weight 5, batch_size 8"].recipe
    assert (last["objective"]["r1"]["weight"], last["batch_size"], last["steps"]) == (5, 8, 3)
    for words in (["k"], ["k="]):
        with pytest.raises(SparringError, match=r"KEY=A,B,C"):
            resolve("quickstart", vary=words)


def test_a_scale_shortens_recipes_with_their_schedules_and_may_change_single_rows() -> None:
    sets = {"smoke": {"steps": 200, "set": SMALL_OF_ANY_LENGTH, "set_rows": {"two": {"batch_size": 5}}}}
    many = {"recipe": "sdp/hinge-sdp-cifar10"}, {"recipe": "as-gan/as-dcgan-cifar10", "set": {"steps": 100}}
    study = resolve(plan(scales=sets, claims=[], **rows(sdp=many[0], half=many[1])))
    assert [row.steps for row in study.rows.values()] == [200, 200, 200, 100]
    assert study.rows["sdp"].recipe["objective"]["sdp"]["t"] == 6 and study.rows["sdp"].recipe["log_every"] == 1
    assert [row.recipe["batch_size"] for row in study.rows.values()] == [8, 5, 8, 8]
    with pytest.raises(SparringError, match="scale smoke: there is no row 'three'"):
        resolve(plan(scales={"smoke": {"set_rows": {"three": {}}}}))


def test_negatives_of_a_scale_are_for_rows_that_have_some() -> None:
    sets = {"smoke": {"set": {**SMALL, "negatives": "noise:uniform:40"}}}
    term = {"recipe": "quickstart", "set": {"objective.negatives": {}}}
    study = resolve(plan(scales=sets, claims=[], **rows(term=term)))
    found = [(row.recipe["negatives"] or {}).get("source") for row in study.rows.values()]
    assert found == [None, None, "noise:uniform:40"]
    with pytest.raises(SparringError, match="scale smoke sets negatives, and no row has negatives"):
        resolve(plan(scales=sets))
    with pytest.raises(SparringError, match=r"the changes set objective.sdp.k, and no row has that term"):
        resolve(plan(), changes=["objective.sdp.k=3"])


def test_a_plan_may_extend_others(tmp_path: Path) -> None:
    whole = plan(name="whole")
    part = {"scales": {"smoke": {"set": {**SMALL, "batch_size": 4}}}, "seeds": 3}
    (tmp_path / "part.yaml").write_text(yaml.safe_dump(part))
    del whole["scales"], whole["seeds"]
    whole |= {"extends": ["part"], "scales": {"smoke": {"set": {"steps": 9}}}}
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(whole))
    study = resolve(tmp_path / "whole.yaml")
    assert [(row.recipe["batch_size"], row.steps) for row in study.rows.values()] == [(4, 9)] * 2
    assert study.seeds == (0, 1, 2) and study.plan.name == "whole"
    for extends, said in (("whole", "extends itself"), ("prt", "neither a file beside it nor a plan"), (3, "a list")):
        (tmp_path / "whole.yaml").write_text(yaml.safe_dump(whole | {"extends": extends}))
        with pytest.raises(SparringError, match=said):
            Plan.load(tmp_path / "whole.yaml")


def test_reading_plans_and_results_imports_no_torch() -> None:
    code = "import sys; from sparring.study import plan, resolve, results; plan.Plan.load('as-gan/figure-4')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
