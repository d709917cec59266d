"""The command line: errors are one line with exit code 2, results go to stdout, `--json` prints only JSON."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sparring import cli
from tiny import tiny_images, tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """`command("train", ...)` runs in this process and returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def recipe(recipe_file):
    return recipe_file(steps=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A conditional run of two steps on images from a file."""
    from sparring import train
    from sparring.data.arrays import write_npz

    folder = tmp_path_factory.mktemp("trained")
    write_npz(folder / "images.npz", tiny_images())
    recipe = tiny_recipe(data=str(folder / "images.npz"), steps=2)
    recipe["generator"]["network"]["conditioning"] = "conditional_batch_norm"
    return train(recipe, out=folder / "run").folder


def one_line(result, *parts):
    code, out, err = result
    assert code == 2, err
    assert out == ""
    assert err.startswith("sparring: ") and err.count("\n") == 1 and err.endswith("\n"), err
    for part in parts:
        assert part in err, err


WRONG_VALUES = [
    ("stepz=5", "unknown key stepz", "did you mean 'step' or 'steps'?"),
    ("generator.optimizer.learning_rate=1", "unknown key generator.optimizer.learning_rate", "lr"),
    ("generator.network.widht=8", "generator 'dcgan' has no option 'widht'", "did you mean 'width'?"),
    ("discriminator.network.kind=dcgam", "unknown backbone 'dcgam'", "did you mean 'dcgan'?"),
    ("discriminator.network=nowhere:Nothing", "there is no module 'nowhere'"),
    ("generator.network=json:JSONDecoder", "not a subclass of torch.nn"),
    ("objective.hing={}", "unknown term 'hing'", "did you mean 'hinge'?"),
    ("objective.hinge.wieght=2", "unknown key objective.hinge.wieght", "did you mean 'weight'?"),
    ("objective.hinge.weight=true", "weight", "true"),
    ("objective.hinge=null", "exactly one adversarial loss, this one has none: add one"),
    ("objective.wasserstein={}", "exactly one adversarial loss", "hinge and wasserstein", "add objective.hinge=null"),
    ("objective.x.kind=os:getcwd", "term 'os:getcwd'", "not a subclass of sparring"),
    ("objective.r1=5", "objective.r1 takes a mapping of the term's fields", "got 5"),
    ("objective=[]", "objective takes a mapping"),
    ("steps=many", "steps takes a whole number, got 'many'"),
    ("steps=0", "steps", "got 0"),
    ("steps=2.5", "steps takes a whole number, got 2.5"),
    ("steps=true", "steps", "true"),
    ("log_every=true", "log_every", "true"),
    ("generator.latent_size=true", "generator.latent_size", "true"),
    ("generator.network.width=true", "'width' takes a number, got true"),
    ("generator.network.width=wide", "option 'width' takes int, got 'wide'"),
    ("generator.network.normalisation=group", "'normalisation' takes one of 'none', 'batch'"),
    ("batch_size=null", "batch_size takes a whole number, got None"),
    ("generator.optimizer.lr=fast", "generator.optimizer.lr takes a number or a schedule", "got 'fast'"),
    ("generator.optimizer.lr=-1", "generator.optimizer.lr: takes 0 or more, got -1"),
    ("generator.optimizer.lr={knots: [[0, 1], [0, 2]]}", "generator.optimizer.lr", "knots"),
    ("generator.optimizer.betas=[0.9, 1]", "generator.optimizer.betas", "got 1"),
    ("generator.optimizer.kind=adagrad", "generator.optimizer.kind takes one of 'adam'", "'adagrad'"),
    ("generator.ema=1.5", "generator.ema.decay: takes 0 to 1, got 1.5"),
    ("generator.ema=.inf", "generator.ema"),
    ("discriminator.conditioning=concat", "discriminator.conditioning takes one of"),
    ("data.size=big", "data.size takes a whole number, got 'big'"),
    ("data.size=9", "9", "dcgan"),
    ("data.split=tset", "tset"),
    ("data.classes=[nothing]", "nothing"),
    ("data.num_classes=7", "the recipe says 7 classes", "has 3"),
    ("data=none-such", "there is no file or folder 'none-such'"),
    ("data=folder/none-such", "there is no file or folder"),
    ("batch_size=41", "data has 40 images, fewer than a batch of 41"),
    ("accumulate=3", "batch_size 8 does not split evenly"),
    ("step=sparring.training.step:train_stpe", "has no 'train_stpe'", "did you mean 'train_step'?"),
    ("step=train", "unknown step 'train'"),
    ("precision=float16", "precision takes one of 'float32', 'tf32' or 'bfloat16'"),
    ("evaluation.extractor=inceptoin", "unknown extractor 'inceptoin'"),
    ("evaluation={metrics: [fdd]}", "unknown metric 'fdd'"),
    ("evaluation.split=test", "test"),
    ("augment={kind: none}", "augment"),
    ("negatives=nowhere", "there is no file or folder 'nowhere'"),
    ("objective.negatives={}", "negatives has no data"),
    ("start_from=nowhere", "there is no run 'nowhere' to start from"),
    ("scale=-1", "scale takes a factor above 0"),
    ("scale=x", "scale takes a number, got 'x'"),
    ("name=", "name takes text"),
    ("no-equals-sign", "'no-equals-sign' is not a change: write key=value"),
]


@pytest.mark.parametrize("words", WRONG_VALUES, ids=lambda words: words[0])
def test_a_wrong_value_is_one_line_before_anything_is_written(words, command, recipe, tmp_path):
    one_line(command("train", recipe, words[0], "--out", tmp_path / "run"), *words[1:])
    assert not (tmp_path / "run").exists()


def test_labels_that_a_recipe_needs(command, recipe, tmp_path):
    np.savez(tmp_path / "bare.npz", images=tiny_images().images.permute(0, 2, 3, 1).numpy())
    for change in ("discriminator.conditioning=projection", "generator.network.conditioning=conditional_batch_norm"):
        one_line(command("train", recipe, "data=bare.npz", change), "label")


def test_unknown_recipes_and_bad_recipe_files(command, tmp_path):
    one_line(command("train", "quickstrat"), "unknown recipe 'quickstrat'", "did you mean 'quickstart'?")
    one_line(command("show", "nat/demoo"), "unknown recipe 'nat/demoo'", "did you mean 'nat/demo'?")
    one_line(command("train", "nat/demo"), "'nat/demo' is a classifier's recipe", "`sparring classify nat/demo`")
    one_line(command("classify", "quickstart"), "'quickstart' is a GAN's recipe", "`sparring train quickstart`")
    one_line(command("train", "xyzzy"), "unknown recipe 'xyzzy': `sparring recipes --all` lists them.")
    one_line(command("train", "none.yaml"), "there is no recipe file none.yaml")
    (tmp_path / "empty").mkdir()
    one_line(command("train", "empty"), "'empty' is not a run")
    for text, part in [
        ("steps: [1, 2", "bad.yaml is not valid YAML"),
        ("- a\n- b", "should hold a mapping"),
        ("", "should hold a mapping"),
        ("steps: 1\nsteps: 2\n", "the key 'steps' is given twice"),
        ("extends: bad\n", "extends itself"),
        (f"extends: ./../{tmp_path.name}/bad.yaml\n", "extends itself"),
        ("extends: quickstrat\n", "did you mean 'quickstart'?"),
        ("extends: [1]\n", "extends takes a recipe's name"),
        ("extends: quickstart\n1: 2\n", "1"),
    ]:
        (tmp_path / "bad.yaml").write_text(text)
        one_line(command("show", "bad.yaml"), part)
    (tmp_path / "bad.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    one_line(command("train", "bad.yaml"), "bad.yaml is not valid YAML")
    (tmp_path / "bad.json").write_text("{")
    one_line(command("train", "bad.json"), "bad.json is not valid JSON")


def test_folders_that_cannot_hold_a_run(command, recipe, trained, tmp_path):
    (tmp_path / "file").write_text("")
    one_line(command("train", recipe, "--out", "file"), "file is a file")
    one_line(command("train", recipe, "--out", "file/run"), "file is a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    one_line(command("train", recipe, "--out", "full"), "full is not empty")
    one_line(command("train", recipe, "--out", "full", "--resume"), "full holds no run to resume")
    one_line(command("train", recipe, "--out", trained), "holds a run: continue it with --resume")
    one_line(command("train", recipe, "seed=3", "--out", trained, "--resume"), "another recipe", "seed was 0 and is 3")
    one_line(command("train", recipe, "--device", "gpu"), "cannot use device 'gpu'")
    one_line(command("train", recipe, "--device", "meta"), "cannot use device 'meta'")
    for verb in (("evaluate", trained), ("diagnose", trained), ("evaluate", trained, "--real", tmp_path)):
        one_line(command(*verb, "--device", "cudaa"), "cannot use device 'cudaa'")
    if not torch.cuda.is_available():
        one_line(command("train", recipe, "--device", "cuda"), "cannot use device 'cuda'")
        one_line(command("diagnose", trained, "--device", "cuda"), "cannot use device 'cuda'")


def test_folders_of_images(command, recipe, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    one_line(command("train", recipe, "data=photos"), "photos")
    for i in range(9):
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(photos / f"{i}.png")
    (photos / "3.png").write_bytes((photos / "4.png").read_bytes()[:40])
    one_line(command("train", recipe, "data=photos"), "3.png")
    code, _, err = command("train", recipe, "data=photos", "--skip-unreadable", "--out", "skipping")
    assert code == 0 and "1 of 9" in err and "3.png" in err
    Image.fromarray(np.zeros((10, 8), np.uint8)).save(photos / "3.png")
    one_line(command("train", recipe, "data=photos"), "differ in size", "data.size=")


def test_unknown_arguments(command, recipe):
    one_line(command("trian", recipe), "trian")
    one_line(command("train"), "Missing argument")
    one_line(command("train", recipe, "--out", ""), "'--out': it is empty")
    one_line(command("train", recipe, "--outt", "x"), "--outt")
    one_line(command("sample", "x", "--out", "y.png", "--n", "many"), "--n", "integer")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--out", "x.jpg"), ("x.jpg", ".png")),
        (("--out", "x.png", "--seeds", "3-1"), ("the seeds 3-1 end before they begin: write 1-3",)),
        (("--out", "x.png", "--seeds", "1,2,1"), ("seed 1 is given twice",)),
        (("--out", "x.png", "--seeds", "1;2"), ("such as 1-9,42, got '1;2'",)),
        (("--out", "x.png", "--seeds", "0-99999999999"), ("100,000,000,000 seeds are too many",)),
        (("--out", "x.png", "--seeds", "1", "--n", 3), ("seeds say which images to draw", "leave n out")),
        (("--out", "x.png", "--seeds", "1", "--seed", 3), ("leave seed out",)),
        (("--out", "x.png", "--seeds", "1", "--latents", "z.npz"), ("seeds and latents both say",)),
        (("--out", "x.png", "--seeds", "1", "--label", "0,1"), ("2 labels for 1 image",)),
        (("--out", "x.png", "--latents", "z.npz", "--n", 1), ("latents say which images to draw", "leave n out")),
        (("--out", "x.png", "--latents", "z.npz", "--truncation", 1), ("leave truncation out",)),
        (("--out", "x.png", "--latents", "z.npz"), ("there is no file of latents 'z.npz'",)),
        (("--out", "x.png", "--truncation", 0), ("from 0.05", "got 0")),
        (("--out", "x.png", "--truncation", "nan"), ("from 0.05", "got nan")),
        (("--out", "x.png", "--n", 0), ("n is a whole number from 1",)),
        (("--out", "x.png", "--label", "clas-1"), ("has no class 'clas-1'", "did you mean 'class-1'?")),
        (("--out", "x.png", "--label", 3), ("has no class 3", "0 to 2")),
    ],
)
def test_wrong_arguments_for_sampling(words, parts, command, trained):
    one_line(command("sample", trained, *words), *parts)


def test_sampling_from_something_that_is_not_a_generator(command, tmp_path, trained):
    one_line(command("sample", "nowhere", "--out", "x.png"), "no run or generator file 'nowhere'")
    (tmp_path / "empty").mkdir()
    one_line(command("sample", "empty", "--out", "x.png"), "holds no trained generator")
    (tmp_path / "g.safetensors").write_bytes(b"garbage")
    one_line(command("sample", "g.safetensors", "--out", "x.png"), "g.safetensors is damaged")
    one_line(command("evaluate", "empty"), "'empty' is not a run")
    one_line(command("evaluate", trained, "m=5"), "unknown key evaluation.m")
    one_line(command("pack", "nowhere"), "there is no file or folder 'nowhere'")


def test_errors_of_evaluate_name_its_own_options(command, trained, tmp_path, monkeypatch):
    from sparring.data.arrays import write_npz
    from sparring.errors import SparringError
    from sparring.evaluation.evaluate import _real as real_images

    for name, size, mode in (("small", 8, "L"), ("mixed", 8, "L"), ("colour", 8, "RGB")):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new(mode, (size, size), i).save(tmp_path / name / f"{i}.png")
    Image.new("L", (12, 12)).save(tmp_path / "mixed" / "3.png")
    write_npz(tmp_path / "packed.npz", tiny_images())
    extractor = ("--extractor", "efficientnet-lite0")
    one_line(command("evaluate", "small", "--real", "mixed", *extractor), "differ in size", "e.g. --size 8")
    notes, options = [], {"n": None, "split": None, "seed": 0, "channels": None, "skip_unreadable": False}
    found = real_images("mixed", trained, size=None, device="cpu", note=notes.append, **options)
    assert found.take(0, 4).shape == (4, 1, 8, 8) and "cut and resized to the generator's 8 pixels" in notes[0]
    with pytest.raises(SparringError, match="differ in size"):
        real_images("mixed", "small", size=None, device="cpu", note=notes.append, **options)
    one_line(command("evaluate", "small", "--real", "packed.npz", "--split", "test"), "leave --split out")
    one_line(command("evaluate", "packed.npz", "--real", "small", "--images-split", "test"), "leave --images-split out")
    one_line(command("evaluate", "nowhere/x", "--real", "small"), "no file or folder 'nowhere/x': check its path")
    one_line(command("evaluate", "small", "--real", "noise:normal"), "needs a size: set --size, e.g. --size 32")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path / "none"))
    one_line(command("evaluate", "small", "--real", "cifar10"), "or fetch it with sparring.load_images(NAME,")
    (tmp_path / "small" / "bad.png").write_bytes(b"no image")
    one_line(command("evaluate", "colour", "--real", "small", *extractor), "bad.png", "with --skip-unreadable")
    line = ("evaluate", "colour", "--real", "small", "--skip-unreadable", *extractor)
    code, out, err = command(*line)
    left_out, wrong = err.splitlines()
    assert (code, out) == (2, "") and "left out 1 of 4 images" in left_out
    assert wrong.startswith("sparring: different numbers of channels") and wrong.endswith("with --channels 1 or 3")
    one_line(command(*line, "--channels", 2), "--channels is 1 (grey) or 3 (colour), got 2")
    one_line(command("evaluate", trained, "--skip-unreadable"), "--skip-unreadable can only be used with --real")
    one_line(command("evaluate", trained, "--n-real", 100), "--n-real can only be used with --real", "write n_real=100")
    one_line(command("evaluate", trained, "--metrics", "fd,FID"), "unknown metric 'FID': did you mean 'fd'?")
    one_line(command("evaluate", trained, "metrics=fd,zzz"), "unknown metric 'zzz': choose one of accuracies, am")
    one_line(command("evaluate", trained, "--metrics", "Accuracy"), "did you mean 'accuracies'?")
    one_line(command("evaluate", "small", "--real", ""), "the name of the images is empty")
    one_line(command("evaluate", "", "--real", "small"), "the name of the images is empty")


def test_comparisons_and_accuracies_refuse_options_that_they_cannot_use(command, trained, tmp_path):
    versus = ("evaluate", trained, "--real", "images.npz", "--versus", trained, "--out", "out")
    one_line(command(*versus, "--metrics", "fd", "--is-splits", 3), "leave --metrics, --is-splits out")
    one_line(command(*versus, "--images-split", "test", "n=5"), "leave --images-split, key=value out")
    one_line(command("evaluate", "x.npz", *versus[2:]), "'x.npz' is neither a run nor a generator file")
    assert not (tmp_path / "out").exists()
    one_line(command("evaluate", trained, "--metrics", "accuracies", "--extractor", "fashion"), "leave extractor out")
    one_line(command("evaluate", trained, "--metrics", "accuracies", "--real", "x.npz"), "leave --real out")


def test_with_json_stdout_holds_only_json(command, recipe, trained, tmp_path):
    def parsed(*words):
        code, out, _ = command(*words)
        assert code == 0
        return json.loads(out)

    assert parsed("train", recipe, "--out", "run", "--json") == {"run": "run", "steps": 2, "metrics": []}
    assert parsed("sample", trained, "--out", "x.png", "--n", 3, "--json")["shape"] == [1, 8, 8]
    assert parsed("show", recipe, "--json")["recipe"]["steps"] == 2
    assert parsed("show", recipe, "--diff", "quickstart", "--json")["steps"] == {"this": 2, "other": 1200}
    assert parsed("pack", "images.npz", "--out", "again.npz", "--json")["n"] == 40
    found = parsed("evaluate", trained, "--metrics", "accuracies", "--n", 8, "--json")
    assert found and all(record["step"] == 2 for record in found)
    names = [entry["name"] for entry in parsed("recipes", "--json")]
    assert "quickstart" in names
    changed = parsed("show", "nat/demo", "steps=600", "--diff", "nat/demo", "--json")
    assert changed == {"steps": {"this": 600, "other": 500}}


def test_a_gan_and_a_classifier_cannot_be_compared(command):
    one_line(command("show", "nat/demo", "--diff", "quickstart"), "one trains a GAN, the other a classifier")


def test_recipes_for_people(command):
    code, out, _ = command("recipes")
    assert code == 0 and "quickstart" in out and "as-gan" in out and "as-gan/as-dcgan-lsun" not in out
    code, out, _ = command("recipes", "--all")
    assert code == 0 and "quickstart" in out and "NCR 0.4 0.96 / 0.971 / 0.949 / 0.736" in " ".join(out.split())
    assert "not run" in out and "WGAN-div (ResNet)" in out
    code, out, _ = command("recipes", "as-gan", "--data", "lsun")
    rows = [line.split() for line in out.splitlines() if line.startswith("as-gan/")]
    assert len(rows) == 8 and all(row[1] == "never" and row[0].endswith("-lsun") for row in rows)
    one_line(command("recipes", "quickstrat"), "no recipe matches 'quickstrat': did you mean 'quickstart'?")
    one_line(command("recipes", "r3gan", "--data", "lsun"), "the data sets are cifar10")


def test_verbs_for_people(command, recipe, trained, tmp_path):
    code, out, _ = command("show", recipe)
    assert code == 0 and "hinge" in out and "never run in full" in out
    code, out, _ = command("sample", trained, "--out", "many", "--n", 3, "--label", "class-2")
    assert (code, out) == (0, "many\n") and len(list((tmp_path / "many").iterdir())) == 3
    one_line(command("sample", trained, "--out", "many"), "many is not empty")
    code, out, _ = command("sample", trained, "--out", "x.npz", "--n", 3)
    assert np.load(tmp_path / "x.npz")["images"].shape == (3, 1, 8, 8)


@pytest.mark.parametrize("looks", ["log_every", "samples_every", "checkpoint_every"])
def test_a_nan_loss_stops_the_run_and_nothing_is_written_after_it(looks, command, recipe_file, tmp_path):
    every = {"log_every": 100, "samples_every": 100, "checkpoint_every": 2, looks: 1}
    objective = {"broken": {"kind": "users_modules:BreaksAtStepThree"}}
    code, _, err = command("train", recipe_file(steps=9, objective=objective, **every), "--out", "run")
    told = err.splitlines()[-1]
    assert code == 2 and told.startswith("sparring: broken became nan in the discriminator's loss at step 3"), err
    run = tmp_path / "run"
    last = 3 if looks == "checkpoint_every" else 2  # steps completed before the bad one; 0, 1 and 2 were good
    assert max(p.name for p in (run / "checkpoints").glob("*.pt")) == f"step-00000{last}.pt"
    assert max(p.name for p in (run / "samples").iterdir()) == f"step-00000{3 if looks == 'samples_every' else 0}.png"
    assert len((run / "log.jsonl").read_text().splitlines()) == (3 if looks == "log_every" else 0)


def test_nan_weights_are_not_saved_even_if_losses_are_finite(command, recipe_file, tmp_path):
    objective = {"broken": {"kind": "users_modules:BadGradientAtStepThree"}}
    for log_every, reason in ((9, "weights became infinite or NaN by step 3"), (1, "gradient became nan at step 3")):
        path = recipe_file(steps=9, checkpoint_every=1, log_every=log_every, objective=objective)
        code, _, err = command("train", path, "--out", f"run-{log_every}")
        assert code == 2 and f"the generator's {reason}" in err
        last = max(p.name for p in (tmp_path / f"run-{log_every}" / "checkpoints").glob("*.pt"))
        assert last == "step-000003.pt"


def test_a_full_disk_ends_in_one_line_and_the_run_can_resume(command, recipe_file, tmp_path, monkeypatch):
    path = recipe_file(steps=6, checkpoint_every=2)
    real = os.fsync

    def full(handle):
        if os.path.exists(tmp_path / "run" / "checkpoints" / "step-000002.pt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, _, err = command("train", path, "--out", "run")
    assert code == 2 and "No space left on device" in err and "Traceback" not in err
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000002.pt"]
    assert command("train", path, "--out", "run", "--resume")[0] == 0


def test_help_is_quick_and_needs_no_torch():
    code = "import sys; sys.argv = ['sparring', '--help']; from sparring.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "import sparring; assert not {'torch', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules), 'heavy'"
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = os.times()  # CPU time, so that a busy machine does not matter
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
        assert done.returncode == 0, done.stderr
        assert "train" in done.stdout and done.stderr == ""
    assert min(seconds) < 0.5


def test_a_folder_named_like_a_shipped_recipe_does_not_hide_it(command, tmp_path):
    (tmp_path / "quickstart").mkdir()
    code, out, _ = command("show", "quickstart", "steps=3", "--json")
    assert code == 0 and json.loads(out)["recipe"]["steps"] == 3


def test_recipe_files_extend_others_and_overrides_reach_into_short_forms(command, recipe_file, tmp_path):
    base = yaml.safe_load(recipe_file().read_text())
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base | {"paper": {"number": 3}, "about": "the base"}))
    (tmp_path / "mine.yaml").write_text(
        "extends: base\nobjective: {hinge: null, wasserstein: {}, r1: {weight: 1e-2}}\n"
    )
    words = ["show", "mine.yaml", "data.flip=true", "generator.ema=0.9", "generator.ema.start=4", "--json"]
    code, out, err = command(*words)
    assert code == 0, err
    resolved = json.loads(out)["recipe"]
    assert list(resolved["objective"]) == ["wasserstein", "r1"] and resolved["objective"]["r1"]["weight"] == 0.01
    assert resolved["data"]["flip"] and resolved["data"]["source"] == base["data"]
    assert resolved["generator"]["ema"] == {"decay": 0.9, "start": 4}
    assert resolved["paper"] is None and resolved["name"] == "mine" and resolved["about"] == "the base"
