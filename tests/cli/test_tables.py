"""Tables print names verbatim."""

from sparring.cli.classify_tables import print_classifier
from sparring.cli.diagnose import print_tables
from sparring.cli.recipe_tables import print_recipes
from sparring.cli.tables import print_description, print_differences, print_metrics

NAMES = ("old[copy]", "x[/b]", ":cat:")


def test_brackets_and_colons_in_names_are_not_markup(capsys):
    print_metrics(
        [{"metric": name, "value": 1.0, "data": name, "extractor": name, "notes": [f"of {name}"]} for name in NAMES]
    )
    print_differences("old[copy]", "x[/b]", {":cat:": {"this": "a[/b]", "other": None}})
    facts = {"run_in_full": False, "parameters": None, "recipe": {}}
    print_recipes([{**facts, "name": name, "about": name, "paper": {"title": name}} for name in NAMES], [])
    for name in NAMES:
        print_classifier({**facts, "name": name, "about": f"about {name}"})
    out = capsys.readouterr().out
    assert all(out.count(name) >= 7 for name in NAMES) and "a[/b]" in out


def test_a_diagnosis_prints_names_verbatim(capsys):
    class Part:
        title, tables, missing = "t[/b]", (([":cat:"], [["old[copy]"]]),), ("m[/b]",)

    class Found:
        sections = (Part,)

    print_tables(Found)
    out = capsys.readouterr().out
    assert all(text in out for text in ("t[/b]", ":cat:", "old[copy]", "not shown: m[/b]"))


def test_names_are_whole_in_a_pipe_and_wrapped_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    row = {"metric": "efficientnet-lite0-smallest-class-share", "value": 0.5, "std": 0.25, "n_fake": 10000}
    row |= {"data": "fashion-mnist-10k", "split": "train", "extractor": "efficientnet-lite0", "n_real": 8000}
    print_metrics([row])
    (_, line) = capsys.readouterr().out.splitlines()
    assert "0.5 ± 0.250" in line and "fashion-mnist-10k train  efficientnet-lite0" in line
    monkeypatch.setenv("COLUMNS", "80")
    print_metrics([row])
    out = capsys.readouterr().out
    assert "…" not in out and max(map(len, out.splitlines())) <= 80 and "0.5 ± 0.250" in out


def test_a_note_about_some_metrics_names_them(capsys):
    rows = [("x-FD", ["biased", "small"]), ("x-intra-FD", ["biased", "small"]), ("x-KD", ["small"])]
    print_metrics([{"metric": name, "value": 1.0, "notes": notes} for name, notes in rows])
    assert capsys.readouterr().out.splitlines()[-2:] == ["note on x-FD, x-intra-FD: biased", "note: small"]


def test_a_single_pass_is_not_called_passes(capsys):
    costs = {"discriminator": {"passes": 1.0, "rows": 1.0}, "generator": {"passes": 1.5, "rows": 12.0}}
    facts = {"name": "x", "about": "", "run_in_full": True, "parameters": {}, "terms": [], "recipe": {}}
    facts["images"] = {"channels": 1, "size": 8, "num_classes": 1}
    facts["per_step"] = costs | {"optimizer_steps": {"discriminator": 1, "generator": 2}, "host_gradient": {}}
    print_description(facts)
    out = capsys.readouterr().out
    assert "8 x 8, 1 class; " in out
    assert "discriminator: 1 pass, 1 row and 1 optimiser update per step" in out
    assert "generator: 1.5 passes, 12 rows and 2 optimiser updates per step" in out
