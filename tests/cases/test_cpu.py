"""Case A: CPUs with AVX2 but without AVX-512. A CPU that can be limited to AVX2 stands in for them."""

import os
import sys

import pytest
import torch
import yaml

from sparring.data.arrays import write_npz
from tiny import tiny_images, tiny_recipe

needs_avx2 = pytest.mark.skipif(not torch.cpu._is_avx2_supported(), reason="this CPU has no AVX2")
NETWORK = """
from torch import nn

class Strided(nn.Module):
    channels = 64

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 64, 1, stride=2)

    def forward(self, images, labels=None):
        return self.layer(images).mean((2, 3)), []
"""


@pytest.fixture
def a_recipe_with_it(tmp_path):
    (tmp_path / "strided.py").write_text(NETWORK)
    write_npz(tmp_path / "colour.npz", tiny_images(channels=3))
    recipe = tiny_recipe(data="colour.npz", steps=1)
    recipe["discriminator"]["network"] = "strided:Strided"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    return "mine.yaml"


@needs_avx2
@pytest.mark.parametrize("limit", ["AVX2", "AVX"])
def test_case_a_a_users_strided_convolution_is_refused_or_noted(command_line, a_recipe_with_it, monkeypatch, limit):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    done = command_line("train", a_recipe_with_it, "--out", "run")
    assert "1x1 convolution of stride 2 with 3 input channels" in done.stderr
    assert done.returncode == (2 if limit == "AVX2" else 0), done.stderr
    assert done.stderr.count("1x1 convolution") == 1


CLASSIFY = """
import torch
import sparring
from sparring.data.packed import PackedImages

torch.manual_seed(0)
pixels = torch.randint(0, 256, (96, 3, 16, 16), dtype=torch.uint8)
images = PackedImages(pixels, torch.arange(96) % 3, ("a", "b", "c"), "noise")
recipe = {
    "name": "tiny", "data": "from-python", "network": {"kind": "resnet18", "width": 2}, "criterion": "baseline",
    "optimizer": {"lr": 0.05}, "steps": 40, "batch_size": 32, "validation": 0.2, "threads": 1,
}
sparring.train_classifier(recipe, data=images, test=images, out="run")
print("done")
"""


@needs_avx2
def test_case_a_our_own_classifier_trains(tmp_path, monkeypatch):
    """Its shortcut used to be such a layer and corrupted the heap, which glibc's checking allocator reports at once."""
    import subprocess

    checked = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1", "MALLOC_CHECK_": "3"}
    debug = "/lib/x86_64-linux-gnu/libc_malloc_debug.so.0"
    if os.path.exists(debug):
        checked["LD_PRELOAD"] = debug
    done = subprocess.run(
        [sys.executable, "-c", CLASSIFY], cwd=tmp_path, env=os.environ | checked, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()[-4:]) == (0, "done"), done.stderr[-500:]


def test_version_says_what_a_bug_report_needs(command_line):
    said = command_line("--version")
    assert said.returncode == 0, said.stderr
    for part in (torch.__version__.split("+")[0], torch.backends.cpu.get_cpu_capability(), "Python 3", "sparring 0."):
        assert part in said.stdout
