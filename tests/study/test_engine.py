"""The queue of a study: every run once, in order, whatever happens to workers, folders and the study itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from here import Here

from sparring.data.arrays import write_npz
from sparring.errors import NonFiniteLossError, SparringError
from sparring.files import write_json
from sparring.study import engine, work
from sparring.study.drawing import write_figures
from sparring.study.engine import run
from sparring.study.executors import make_executor
from sparring.study.plan import Figure
from sparring.study.resolve import PLAN_FILE, resolve
from sparring.study.results import Result, append, read
from sparring.study.status import status
from sparring.study.table import open_study
from tiny import tiny_images, tiny_recipe

TOY = {"toy": {"world": "nat-1d", "method": "hinge"}}
SMALL = {
    "generator.network.width": 4,
    "discriminator.network.width": 4,
    "batch_size": 4,
    "steps": 2,
    "checkpoint_every": 1,
    "evaluation": {"n": 20, "n_real": 20, "metrics": ["fd"], "every": 1},
}
TIMES = ("seconds", "cpu_seconds", "date", "attempts")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_reports: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "LOOK", 0.0)
    monkeypatch.setattr("sparring.toy.measure.LOOKS", 2)
    monkeypatch.setattr(engine._Engine, "_page", lambda self: None)


def plan(**changes: Any) -> dict[str, Any]:
    """Two toy rows over two seeds."""
    other = {"toy": {"world": "nat-1d", "method": "negatives"}}
    values: dict[str, Any] = {"name": "tried", "seeds": 2, "scales": {"smoke": {"set": {"steps": 2, "batch_size": 8}}}}
    return {**values, "rows": {"hinge": TOY, "NAT": other}, **changes}


def without_times(results: list[Result]) -> list[Result]:
    plain = {"seconds": None, "cpu_seconds": None, "date": "", "attempts": 1}
    return sorted((replace(each, **plain) for each in results), key=lambda each: (each.row, each.seed))  # type: ignore[arg-type]


def _its_figures_show_its_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row's run is opened by what draws it; what that cannot draw is said, and the rest is drawn."""
    monkeypatch.setattr("sparring.microscope.sections.SHOWN", 16)
    kinds = {"gradient-maps": "GAN", "confidences": "NAT", "moments": "toy", "class-distances": "GAN"}
    figures = [Figure(kind=kind, rows=[row]) for kind, row in kinds.items()]
    figures.append(Figure(kind="curves", lines=["discriminator/hinge", "gradients.l1"], rows=["GAN"], name="both"))
    table, said = open_study(folder), list[str]()
    assert table.plan is not None
    table = replace(table, plan=table.plan.model_copy(update={"figures": figures}))
    assert [path.stem for path in write_figures(table, folder / "out", said.append)] == ["gradient-maps", "both"]
    assert [
        part in line for part, line in zip(("no probe of images", "no moments", "two runs"), said, strict=True)
    ] == [True] * 3
    kept = json.loads((folder / "files" / "both.json").read_text())["numbers"]
    log = [json.loads(line) for line in (folder / "runs" / "gan" / "0" / "log.jsonl").read_text().splitlines()]
    assert kept["GAN, discriminator/hinge"]["0"][1] == [row["discriminator/hinge"] for row in log]
    assert kept["GAN, l1"]["0"][0] == [1, 2]  # its checkpoints


def test_gans_classifiers_and_toy_worlds_stand_in_one_plan_and_nothing_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(tmp_path / "images.npz", tiny_images(90))
    monkeypatch.setattr("sparring.classify.run.write_classifier_report", lambda *parts: None)
    classifier = {
        "data": "images.npz",
        "network": {"kind": "small_cnn", "width": 2},
        "probes": {"noise": "noise:normal:9"},
    }
    classifier |= {"negatives": "noise:normal", "name": "tiny", "steps": 2, "batch_size": 16}
    rows = {"GAN": {"recipe": "quickstart"}, "NAT": {"recipe": classifier}, "toy": TOY}
    sets = {"gan": SMALL, "toy": {"steps": 4}}
    mixed = plan(rows=rows, scales={"smoke": {"set": sets}}, seeds=1)
    here = Here()
    done = run(mixed, executor=here)
    assert done.folder == Path("runs/studies/tried-smoke") and not done.errors
    assert here.trained == ["gan-0", "nat-0", "toy-0"]
    assert not (done.folder / "runs" / "gan" / "0" / "report.html").exists()  # the study's page shows more
    gan, nat, toy = done.results
    assert [each.kind for each in done.results] == ["gan", "classifier", "toy"]
    assert len(gan.curve["fashion-FD"]) == 2 and gan.steps == 2 and gan.protocol["fashion-FD"]["n_fake"] == 20
    assert gan.value("fd") == pytest.approx(sum(value for _, value in gan.curve["fashion-FD"]) / 2)
    assert (done.folder / gan.files["samples"]).is_file() and gan.threads == 1 and gan.instructions
    assert 0 <= nat.value("accuracy") <= 1 and nat.value("auroc.noise") is not None  # type: ignore[operator]
    assert toy.value("distance") > 0 and toy.protocol["distance"] == {"world": "nat-1d"}  # type: ignore[operator]
    _its_figures_show_its_runs(done.folder, monkeypatch)
    lines = (done.folder / "results.jsonl").read_bytes()
    again = Here()
    assert run(mixed, executor=again).results == done.results and again.trained == []
    more = Here()
    run({**mixed, "rows": {**rows, "toy 2": TOY}}, executor=more, seeds=2, rows=["toy", "toy 2"])
    assert more.trained == ["toy-2-0", "toy-1", "toy-2-1"]
    assert (done.folder / "results.jsonl").read_bytes().startswith(lines)
    found = status(done.folder)
    assert [(row["row"], row["done"], row["left"]) for row in found["rows"]] == [
        ("GAN", 1, 1),
        ("NAT", 1, 1),
        ("toy", 2, 0),
        ("toy 2", 2, 0),
    ]
    assert [found[key] for key in ("runs", "done", "left", "is_running")] == [8, 6, 2, False]


def test_a_row_of_a_toy_world_has_the_numbers_of_a_measured_run() -> None:
    from sparring.toy.measure import measured_run
    from sparring.toy.methods import toy_recipe
    from sparring.toy.worlds import world

    (hinge,) = run(plan(seeds="3-3"), executor=Here(), rows=["hinge"]).results
    here = world("nat-1d", seed=3)
    found = measured_run(here, toy_recipe(here, "hinge", {"batch_size": 8}, steps=2, seed=3))
    assert (hinge.values, hinge.curve, hinge.numbers) == (found["values"], found["curve"], found["numbers"])


def test_what_workers_lose_is_tried_again_and_given_up_at_last() -> None:
    here = Here(lose={"hinge-0": 2, "nat-1": 3})
    done = run(plan(), executor=here)
    assert here.trained.count("hinge-0") == 3 and here.trained.count("nat-1") == 3
    assert {(each.row, each.seed): each.attempts for each in done.results} == {
        ("hinge", 0): 3,
        ("NAT", 0): 1,
        ("hinge", 1): 1,
    }
    assert "its worker was lost 3 times" in done.errors["NAT", 1]
    assert "NAT, seed 1" in next(iter(status(done.folder)["errors"]))
    healthy = run(plan(), executor=Here())
    assert not healthy.errors and len(healthy.results) == 4 and not status(done.folder)["errors"]


def test_a_run_that_is_not_finite_is_a_result_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparring.toy.session import ToySession

    step = ToySession.step

    def fails(session: ToySession, count: int = 1) -> None:
        if session.recipe.seed == 0 and session.state.step:
            raise NonFiniteLossError("a term became infinite", step=812)
        step(session, count)

    monkeypatch.setattr(ToySession, "step", fails)
    done = run(plan(), executor=Here(), rows=["hinge"])
    failed, fine = done.results
    assert failed.failed == "not finite by step 812" and failed.value("distance") is None and failed.values == {}
    assert len(failed.curve["distance"]) == 1 and fine.failed is None and not done.errors
    assert status(done.folder)["failed"] == 1
    assert run(plan(), executor=(again := Here()), rows=["hinge"]).results == done.results and again.trained == []


def test_a_run_that_cannot_be_trained_is_no_result_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(task: Any) -> Any:
        raise SparringError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setitem(work.KINDS, "toy", broken)
        done = run(plan(seeds=1), executor=Here())
    assert done.results == [] and set(done.errors.values()) == {"the disk is full"}
    assert len(run(plan(seeds=1), executor=Here()).results) == 2


def test_a_level_of_collapse_may_be_set_later() -> None:
    done = run(plan(), executor=Here())
    highest = max(each.values["distance"] for each in done.results)
    again = run(plan(collapsed={"distance": highest - 1e-9}), executor=(none := Here()))
    assert none.trained == [] and [each.failed for each in again.results].count(None) == 3
    (failed,) = [each for each in again.results if each.failed]
    assert failed.failed.startswith("collapsed: distance ") and failed.value("distance") is None  # type: ignore[union-attr]
    assert failed.values["distance"] == highest
    assert all(each.failed is None for each in run(plan(), executor=none).results)


def gans(**changes: Any) -> dict[str, Any]:
    """A row, one that starts from it, and one that starts from that."""
    write_npz(Path("images.npz"), tiny_images())
    recipe = tiny_recipe(steps=2)
    rows = {"child": {"recipe": recipe, "from": "host", "set": {"steps": 1}}, "host": {"recipe": recipe}}
    return plan(rows=rows, scales={"smoke": {}}, seeds=1, **changes)


def test_a_row_starts_from_its_parent_which_is_trained_again_if_it_is_lost() -> None:
    here = Here()
    done = run(gans(), executor=here)
    assert here.trained == ["host-0", "child-0"] and not done.errors
    origin = json.loads((done.folder / "runs/child/0/recipe.json").read_text())["origin"]
    assert origin["step"] == 2 and "runs/host/0/" in origin["checkpoint"]
    shutil.rmtree(done.folder / "runs")
    run(gans(), executor=(nothing := Here()))
    assert nothing.trained == []
    results = read(done.folder)
    done.folder.joinpath("results.jsonl").unlink()
    append(done.folder / "results.jsonl", next(each for each in results if each.row == "host"))
    again = run(gans(), executor=(both := Here()))
    assert both.trained == ["host-0", "child-0"] and without_times(again.results) == without_times(results)
    assert [each.row for each in read(done.folder)] == ["host", "child"]


def test_a_row_whose_parent_failed_failed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(task: Any) -> Any:
        return {"failed": "not finite at step 1", "steps": 1}

    monkeypatch.setitem(work.KINDS, "gan", fails)
    done = run(gans(), executor=(here := Here()))
    assert here.trained == ["host-0"] and not done.errors
    assert [(each.row, each.failed) for each in done.results] == [
        ("host", "not finite at step 1"),
        ("child", "row 'host' failed: not finite at step 1"),
    ]


def test_what_a_killed_study_left_is_taken_up() -> None:
    """A result that was not yet kept, a cut line, a file half-written."""
    whole = run(plan(), executor=Here())
    lines = (whole.folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    (whole.folder / "results.jsonl").write_bytes(lines[0] + lines[1] + lines[2][:50])
    (whole.folder / "work").mkdir(exist_ok=True)
    fields = {
        "row",
        "seed",
        "kind",
        "recipe",
        "values",
        "curve",
        "best",
        "steps",
        "protocol",
        "numbers",
        "commit",
        "device",
    }
    fields |= {"sparring", "torch", "instructions", "threads"}
    left = {key: value for key, value in json.loads(lines[3]).items() if key in fields}
    (whole.folder / "work" / "nat-1.ended.json").write_text(json.dumps(left))
    again = run(plan(), executor=(here := Here()))
    assert here.trained == ["hinge-1"] and without_times(again.results) == without_times(whole.results)
    assert not list((whole.folder / "work").iterdir())


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(SparringError, match="is not empty: choose another folder"):
        run(plan(), executor=Here(), out="full")
    run(plan(), executor=Here(), out="first")
    for other, said in (
        (plan(name="other"), "holds study tried at scale smoke"),
        (
            plan(rows={"hinge": {"toy": {"world": "nat-1d", "method": "r1"}}}),
            "has results of row 'hinge' by another recipe",
        ),
    ):
        with pytest.raises(SparringError, match=said):
            run(other, executor=Here(), out="first")
    with pytest.raises(SparringError, match="--jobs takes 1 or more"):
        run(plan(), executor=Here(), jobs=0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("locl", "unknown executor 'locl': did you mean 'local'"),
        ("nowhere:Class", "there is no module 'nowhere' to import"),
        ("json:Nothing", "json has no 'Nothing'"),
        ("local:x=1", "unexpected keyword argument"),
    ],
)
def test_an_executor_that_is_not_there_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(SparringError, match=said):
        make_executor(name)


def test_executors_are_named_with_their_options() -> None:
    assert make_executor("types:SimpleNamespace:partition=gpu,time=60").__dict__ == {"partition": "gpu", "time": "60"}  # type: ignore[attr-defined]
    assert make_executor(here := Here()) is here
    assert make_executor("local").slots >= 1


def test_the_package_is_the_function_of_the_python_api() -> None:
    import sparring

    done = sparring.study(plan(seeds=1), executor=Here(), rows=["hinge"])
    assert [each.row for each in done.results] == ["hinge"] and sparring.study.engine.run is run


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's memory as Linux shows it")
def test_10000_runs_have_a_status_within_seconds_without_torch(tmp_path: Path) -> None:
    many = plan(rows={f"row {i}": TOY for i in range(100)}, seeds=100, claims=[])
    done = run(many, executor=Here(), rows=["row 1"], seeds="3-3", out=tmp_path / "many")
    (one,) = done.results
    study = resolve(many)
    write_json(done.folder / PLAN_FILE, study.to_dict())
    curve = {"distance": [[i, 1.0 / 3] for i in range(20)]}
    with (done.folder / "results.jsonl").open("w") as file:
        for label in study.rows:
            for seed in range(99):
                file.write(json.dumps({**asdict(one), "row": label, "seed": seed, "curve": curve, "best": {}}) + "\n")
    folder = repr(str(done.folder))
    of_status = f"found = status.status({folder})\nassert (found['done'], found['left']) == (9900, 100), found"
    of_table = f"assert len(table.tabulate(results.read({folder}), resolve.Study.load({folder}).plan).rows) == 100"
    for work_of in (of_status, of_table):
        code = (
            "import sys, time\nfrom pathlib import Path\nfrom sparring.study import resolve, results, status, table\n"
            f"{work_of}\nassert 'torch' not in sys.modules\n"
            # of this process alone; getrusage begins with the peak of the one that started it
            "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
            "print(time.process_time(), float(peak) / 1e6)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        seconds, gigabytes = map(float, said.split())
        assert seconds < 3 and gigabytes < 1
