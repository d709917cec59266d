"""Damaged, enormous or hostile files and recipes: one line and exit code 2, in bounded time and memory."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from bounded import bounded
from sparring import cli
from tiny import tiny_recipe

pytestmark = pytest.mark.usefixtures("without_reports")
SECONDS = 60  # limit for one command: generous, as the machine may be busy
SHOWN = {"size": 8, "channels": 1, "num_classes": 3}  # describes the tiny images, so that `show` does not need them


@pytest.fixture
def command(monkeypatch, capfd, tmp_path):
    """`command("train", ...)` runs in this process and the test's folder, and returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, words)])
        with pytest.raises(SystemExit) as stop, bounded(SECONDS):
            cli.main()
        captured = capfd.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


def one_line(result, *parts):
    code, out, err = result
    assert code == 2, err[-2000:]
    assert out == ""
    assert err.startswith("sparring: ") and err.count("\n") == 1 and len(err) < 600, err
    for part in parts:
        assert part in err, err


# --- 3: recipes that grow ---
def laughs(levels=8, width=10):
    lines = ["extends: quickstart", "paper:", f"  a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_case_03_aliases_that_take_all_memory(command, tmp_path):
    (tmp_path / "laughs.yaml").write_text(laughs())
    one_line(command("show", "laughs.yaml"), "laughs.yaml", "200,000 values")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("extends: quickstart\npaper: " + "[" * 500 + "]" * 500, "nested deeper than 40"),
        ("extends: quickstart\npaper: {rows: [" + "1, " * 250_000 + "1]}", "200,000 values"),
        ("extends: quickstart\n#" + "x" * 2**23, "more than 4.19 MB"),
        ("extends: quickstart\npaper: {a: &a 1, b: [" + "*a, " * 2_000 + "*a]}", "1,000 aliases"),
        ("extends: [" + "quickstart, " * 200 + "quickstart]", "more than 100 recipes"),
    ],
)
def test_case_03_recipes_that_are_too_deep_or_too_large(command, tmp_path, text, part):
    (tmp_path / "large.yaml").write_text(text)
    one_line(command("show", "large.yaml"), "large.yaml", part)


def test_case_03_json_that_is_nested_too_deeply(command, tmp_path):
    (tmp_path / "deep.json").write_text('{"extends": "quickstart", "paper": ' + "[" * 200_000 + "]" * 200_000 + "}")
    one_line(command("show", "deep.json"), "deep.json", "nested deeper")


def test_case_03_a_key_of_a_thousand_names(command):
    one_line(command("show", "quickstart", ".".join(["paper"] * 1500) + "=1"), "longer than 500 characters")


# --- 18: npz ---
def npz(path, **members):
    """An npz file whose members are given as bytes or arrays."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if not isinstance(content, bytes):
                buffer = io.BytesIO()
                np.save(buffer, content)
                content = buffer.getvalue()
            archive.writestr(f"{name}.npy", content)


def header(shape, dtype="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_case_18_a_damaged_compressed_member(command, tmp_path):
    generator = np.random.default_rng(0)
    npz(tmp_path / "a.npz", images=generator.integers(0, 9, (40, 8, 8), np.uint8))
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[200:220] = b"\xff" * 20  # within the compressed bytes
    (tmp_path / "a.npz").write_bytes(damaged)
    one_line(command("pack", "a.npz", "--out", "b.npz"), "a.npz", "damaged")


@pytest.mark.parametrize("shape", [(30_000_000_000, 1000), (3, 10**9, 10**4), (10**5, 8, 8)])
def test_case_18_an_npz_that_claims_more_than_it_holds(command, tmp_path, shape):
    npz(tmp_path / "claims.npz", images=header(shape) + b"\0" * 100)
    one_line(command("pack", "claims.npz", "--out", "b.npz"), "claims.npz", "its header claims")


@pytest.mark.parametrize("label", [2**40, 2**62, 2**64 - 1])
def test_case_18_labels_of_a_trillion_classes(command, tmp_path, label):
    labels = np.arange(40, dtype=np.uint64) % 2
    labels[0] = label
    np.savez(tmp_path / "images.npz", images=np.zeros((40, 8, 8), np.uint8), labels=labels)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_recipe(data="images.npz")))
    one_line(command("train", "tiny.yaml"), "class")
    one_line(command("show", "tiny.yaml"), "class")
    assert not (tmp_path / "runs").exists()


def test_case_18_an_npz_that_is_a_bomb(command, tmp_path):
    npz(tmp_path / "bomb.npz", images=header((300, 1000, 1000)) + bytes(300_000_000))
    one_line(command("pack", "bomb.npz", "--out", "b.npz"), "bomb.npz", "when decompressed")


def test_case_18_zips_that_are_bombs(command, tmp_path):
    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "BMP")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", picture.getvalue() + b"\0" * 300_000_000)
        archive.writestr("b.bmp", picture.getvalue())
    one_line(command("pack", "bomb.zip", "--out", "b.npz"), "bomb.zip", "when decompressed")
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.writestr("a/" * 20_000 + "a.bmp", picture.getvalue())
    one_line(command("pack", "deep.zip", "--out", "b.npz"), "deep.zip", "folders")


def test_case_18_a_picture_that_claims_too_many_pixels(command, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("1", (13_000, 12_000)).save(tmp_path / "images" / "vast.png")
    one_line(command("pack", "images", "--out", "b.npz", "--size", "8"), "vast.png", "too many pixels")


# --- 19: recipes and overrides ---
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.npz", "pipe.zip"])
@pytest.mark.parametrize(
    "words",
    [
        ("train", "quickstart", "data={}", "--out", "r"),
        ("pack", "{}", "--out", "x.npz"),
        ("evaluate", "fashion-mnist-10k", "--real", "{}"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_case_18_no_command_waits_for_a_pipe(command, tmp_path, words, name):
    os.mkfifo(tmp_path / name)
    one_line(command(*(word.replace("{}", name) for word in words)), name, "is a pipe or a device")
    assert not (tmp_path / "r").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_case_18_a_pipe_among_images_is_skipped(command, tmp_path):
    (tmp_path / "photos").mkdir()
    os.mkfifo(tmp_path / "photos" / "a.png")
    os.mkfifo(tmp_path / "photos" / "dataset.json")
    one_line(command("pack", "photos", "--out", "x.npz"), "no images in 'photos'")
    Image.new("L", (8, 8)).save(tmp_path / "photos" / "b.png")
    assert command("pack", "photos", "--out", "x.npz")[0] == 0


@pytest.fixture
def tiny(tmp_path):
    """A recipe that describes its images, so that `show` does not need them."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe(data={"source": "images.npz", **SHOWN})))
    return path


WRONG = [
    ("objective.sdp.k[0]=3", "unknown key objective.sdp.k[0]"),
    ("objective.hinge.weight[0]=3", "unknown key objective.hinge.weight[0]"),
    ("data.classes[0]=3", "unknown key data.classes[0]"),
    ("objective={r1: {~: 3}}", "the key null is not text"),
    ("objective={r1: {1: 3}}", "the key 1 is not text"),
    ("paper={on: 3}", "the key true is not text"),
    ("generator.network={kind: dcgan, 3: 4}", "the key 3 is not text"),
    ("scale=inf", "scale takes a factor"),
    ("scale=.inf", "scale takes a factor"),
    ("scale=1e308", "scale takes a factor"),
    ("scale=1e-300", "scale takes a factor"),
    ("scale=true", "scale takes a number"),
    (f"name={'x' * 5_000}", "name", "at most 200"),
    ("batch_size=1000000000", "batch_size", "1048576"),
    ("generator.batch_size=1000000000", "generator.batch_size", "1048576"),
    ("generator.latent_size=100000000000", "generator.latent_size", "1048576"),
    ("steps=" + "9" * 400, "at most 64 bits"),
    ("seed=" + "9" * 40, "at most 64 bits"),
    ("objective.hinge.weight={knots: [[0, 1], [" + "9" * 30 + ", 1]]}", "at most 64 bits"),
    ("d_steps=1000000000", "d_steps", "100"),
    ("accumulate=1000000000", "accumulate", "256"),
    ("generator.network.width=1000000000", "option 'width' is at most 65,536"),
    ("discriminator.network.max_width=1000000000000", "option 'max_width' is at most 65,536"),
    ("data.size=1000000", "data.size", "16384"),
    ("data.num_classes=1000000000000", "data.num_classes", "1048576"),
    ("evaluation={n: 1000000000000}", "evaluation.n", "10000000"),
    ("threads=1000000000", "threads", "1024"),
    ("paper=&p {x: *p}", "contains itself"),
    ("paper=!!set {a, b}", "values must be text, numbers"),
    ("paper=!!binary aGk=", "values must be text, numbers"),
    ("data=\ud800", "not text"),
    ("objective.auxiliary_classifier={head: train}", "no head can be called 'train'"),
    ("objective.auxiliary_classifier={head: a.b}", "no head can be called 'a.b'"),
]


HELD = [
    ("a[0]=1", "is not a change: write key=value"),
    ("scale=nan", "scale takes a factor"),
    ("scale=0", "scale takes a factor"),
    ("scale=-1", "scale takes a factor"),
    ("scale=[1]", "scale takes a number"),
    ("steps=1e30", "steps"),
    ("objective.hinge.weight={knots: [[5, 1], [3, 1]]}", "increasing steps"),
]


@pytest.mark.parametrize("verb", ["show", "train"])
@pytest.mark.parametrize(("override", "parts"), [(override, parts) for override, *parts in WRONG])
def test_case_19_overrides_that_no_recipe_has(command, tiny, tmp_path, verb, override, parts):
    before = sorted(tmp_path.iterdir())
    one_line(command(verb, tiny, override), *parts)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("override", "parts"), [(override, parts) for override, *parts in HELD])
def test_overrides_that_were_refused_before(command, tiny, override, parts):
    one_line(command("show", tiny, override), *parts)


def test_case_19_very_lazy_penalties_are_shown(command, tiny):
    code, out, err = command("show", tiny, "objective.r1={every: 1000000000}", "--json")
    assert code == 0, err
    assert json.loads(out)["recipe"]["objective"]["r1"]["every"] == 10**9


def test_case_19_networks_that_do_not_fit_into_memory(command, tiny, tmp_path):
    words = ["generator.network.width=65536", "generator.network.max_width=65536", "generator.latent_size=1000000"]
    np.savez(tmp_path / "images.npz", images=np.zeros((40, 8, 8), np.uint8), labels=np.arange(40) % 3)
    one_line(command("train", tiny, *words), "of memory", "parameters")
    one_line(command("show", tiny, "batch_size=1000000", "generator.latent_size=1000000"), "latents", "of memory")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("pack", "x" * 5_000), "no file or folder"),
        (("pack", "noise:normal:10000000000000", "--size", 8, "--out", "b.npz"), "of memory"),
        (("pack", "fashion", "--size", 10**9, "--out", "b.npz"), "from 1 to 16384"),
        (("show", "x" * 5_000), "unknown recipe"),
        (("show", "quickstart", "--diff", "x" * 5_000), "unknown recipe"),
        (("evaluate", "x" * 5_000, "--real", "x" * 5_000), "no file or folder"),
        (("diagnose", "x" * 5_000), "is not a run"),
        (("train", "quickstart", "--from", "x" * 5_000), "x"),
        (("bench", "step", "quickstart", "--iterations", 10**30), "iterations"),
    ],
)
def test_case_19_names_and_numbers_that_are_too_long(command, tmp_path, words, part):
    one_line(command(*words), part)
    assert not [path for path in tmp_path.iterdir() if path.name != "runs"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("extends: quickstart\npaper: &p {x: *p}\n", "contains itself"),
        ("extends: quickstart\npaper: &p [*p]\n", "contains itself"),
        ("extends: quickstart\nobjective: {r1: {~: 3}}\n", "the key null is not text"),
        ("extends: quickstart\n~: 3\n", "the key null is not text"),
        ("extends: quickstart\nsteps: 2026-13-45\n", "steps takes a whole number"),
        ("extends: " + "x" * 5_000 + "\n", "which is neither a file"),
        ("extends: .\n", "which is neither a file"),
        ("extends: quickstart\nrun_in_full: !!bool maybe\n", "not valid YAML"),
        ('extends: quickstart\nname: "\\0"\n', "not text"),
    ],
)
def test_case_19_recipes_of_another_form(command, tmp_path, text, part):
    (tmp_path / "wrong.yaml").write_text(text)
    one_line(command("show", "wrong.yaml"), part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("extends: quickstart\n? [1, 2]\n: 3\n", "not valid YAML"),
        ("extends: quickstart\nsteps: !!int many\n", "not valid YAML"),
        ('extends: quickstart\n"a\\nb": 1\n', "unknown key"),
        ("extends: quickstart\nobjective: [hinge]\n", "objective takes a mapping"),
        ("extends: quickstart\ngenerator: [1]\n", "generator takes a mapping"),
        ("extends: quickstart\nname: [1]\n", "name takes text"),
    ],
)
def test_recipes_that_were_refused_before(command, tmp_path, text, part):
    (tmp_path / "wrong.yaml").write_text(text)
    one_line(command("show", "wrong.yaml"), part)


def test_case_19_a_date_is_text(command, tiny):
    code, out, _ = command("show", tiny, "name=2026-11-30", "--json")
    assert code == 0 and json.loads(out)["name"] == "2026-11-30"


# --- 20: dataset.json ---
@pytest.mark.parametrize(
    "content",
    [
        '{"labels": [["a.png", ' + "1" + "0" * 30 + "]]}",
        "[" * 200_000 + "]" * 200_000,
        '{"labels": ' + "[" * 200_000 + "]" * 200_000 + "}",
    ],
)
def test_case_20_a_dataset_json_of_another_form(command, tmp_path, content):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png")
    (folder / "dataset.json").write_text(content, encoding="latin-1")
    one_line(command("pack", "images", "--out", "b.npz"), "dataset.json")
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize(
    "content",
    [
        '{"labels": [["a.png", ' + "1" * 5_000 + "]]}",
        '{"labels": [' + "[" * 900 + "]" * 900 + "]}",
        "5",
        '"labels"',
        "true",
        '{"labels": 5}',
        '{"labels": {"a.png": 0}}',
        '{"labels": [["a.png", NaN]]}',
        '{"labels": [[0, "a.png"]]}',
        '{"labels": [["a.png", 0, 1]]}',
        '{"labels": [["\\ud800", 0]]}',
        "\xff\xfe",
    ],
)
def test_a_dataset_json_that_was_refused_before(command, tmp_path, content):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png")
    (folder / "dataset.json").write_text(content, encoding="latin-1")
    one_line(command("pack", "images", "--out", "b.npz"), "dataset.json")
    assert not (tmp_path / "b.npz").exists()


def test_case_22_a_classifiers_recipe_extends_a_shipped_one(command, tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: nat/demo\nsteps: 7\n")
    code, out, err = command("show", "mine.yaml", "--json")
    assert code == 0, err
    assert json.loads(out)["recipe"]["steps"] == 7
