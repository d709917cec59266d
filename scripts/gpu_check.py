#!/usr/bin/env python
"""Check and time everything on a GPU, in a few minutes: `python scripts/gpu_check.py --minutes 8`.

It needs torch with CUDA, this package's dependencies and this checkout. Sections share the time: numbers (every network,
term and metric against the CPU in float32; runs that repeat to the bit), ranks (two on one device against one), data (images
per second), steps (the library's against the textbook's, for ten recipes in three precisions, with memory and idle time) and
compiled (the same with torch.compile). What fails is said, and the rest goes on. It ends with a table, and JSON in --out.

With `--device cpu --minutes 1` it is a trial of itself: references are in float64, and batches are small.
"""

from __future__ import annotations

import argparse
import copy
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

START = time.monotonic()
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts, for runs that repeat
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import sparring  # noqa: E402
from sparring.bench.pairs import alternate  # noqa: E402
from sparring.bench.step import cycle_of, ours_step, synthetic_batches, synthetic_images, synthetic_state  # noqa: E402
from sparring.bench.textbook_step import Textbook  # noqa: E402
from sparring.evaluation.engine import evaluate_images  # noqa: E402
from sparring.evaluation.extractors.choice import extractor_for  # noqa: E402
from sparring.metrics import REGISTRY as METRICS  # noqa: E402
from sparring.networks import BACKBONES, GENERATORS  # noqa: E402
from sparring.objective.term import AdversarialLoss  # noqa: E402
from sparring.plugins import find  # noqa: E402
from sparring.recipe.gan import Recipe  # noqa: E402
from sparring.run.device import device_name  # noqa: E402
from sparring.run.numerics import numerics  # noqa: E402
from sparring.run.runtime import Runtime  # noqa: E402
from sparring.terms import REGISTRY as TERMS  # noqa: E402
from sparring.training import compiled  # noqa: E402
from sparring.training.feed import Feed  # noqa: E402
from sparring.training.state import TrainingState, build  # noqa: E402
from sparring.training.step import train_step  # noqa: E402
from sparring.version import commit  # noqa: E402

Row = dict[str, Any]
Job = tuple[str, Callable[[], Row]]

# largest differences allowed, of the largest number: of sums, of gradients and weights, and in TF32 and bfloat16
OF_SUMS, OF_GRADIENTS, COARSE = 1e-4, 1e-3, 0.1
STEP = 60_000  # at which every term acts, with its own settings
RANKS: dict[str, Any] = {"hinge": {}, "as_gan": {"warmup": 0}, "r1": {"every": 2}}
RECIPES = (
    "quickstart", "sdp/sn-gan-cifar10", "as-gan/as-dcgan-cifar10", "mhgan/mhgan-imagenet64", "sdp/hinge-sdp-cifar10",
    "sdp/wgan-gp-cifar10", "sdp/autogan-cifar10", "as-gan/as-sn-resnet-cifar10", "nat-gan/nat-gan-3-cifar10",
    "r3gan/r3gan-cifar10",
)  # fmt: skip


class Check:
    """The jobs of each section on one device. small: as a trial, on a CPU."""

    def __init__(self, device: str, small: bool):
        self.device, self.small = device, small

    def sections(self) -> list[tuple[str, float, list[Job]]]:
        """Each section's name, its share of the time, and its jobs."""
        steps = [
            (f"{name}, {precision}", partial(self.step, name, precision))
            for name in RECIPES
            for precision in ("float32", "tf32", "bfloat16")
        ]
        fast = [
            (f"{name}, {precision}, compiled", partial(self.step, name, precision, compile=True))
            for name in RECIPES[:4]  # none of them differentiates twice
            for precision in ("tf32", "bfloat16")
        ]
        return [
            ("numbers", 0.2, self.numbers()),
            ("ranks", 0.1, [("two on one device", self.ranks)]),
            ("data", 0.03, [(f"batches of {count}", partial(self.data, count)) for count in (64, 256)]),
            ("steps", 0.45, steps),
            ("compiled", 0.22, fast),
        ]

    def numbers(self) -> list[Job]:
        jobs: list[Job] = [(f"generator {name}", partial(self.network, GENERATORS, name)) for name in GENERATORS]
        jobs += [(f"backbone {name}", partial(self.network, BACKBONES, name)) for name in BACKBONES]
        jobs += [(f"term {name}", partial(self.term, name)) for name in TERMS]
        jobs += [(f"term as_gan, {how}", partial(self.term, "as_gan", precision=how)) for how in ("tf32", "bfloat16")]
        jobs += [(f"metric {name}", partial(self.metric, name)) for name in METRICS]
        return [("float32 is float32", self.products), *jobs, ("deterministic runs repeat", self.repeats)]

    def products(self) -> Row:
        """A matrix product and a convolution against float64: about 1e-6 in float32, and 1e-3 in TF32."""
        matrix, images, weights = torch.rand(512, 512), torch.rand(8, 64, 16, 16), torch.rand(64, 64, 3, 3)

        def made(to: Any) -> list[Tensor]:
            found = matrix.to(to) @ matrix.to(to), nn.functional.conv2d(images.to(to), weights.to(to))
            return [each.cpu().double() for each in found]

        with numerics():
            return _difference(made(torch.float64), made(self.device), 1e-5)

    def network(self, registry: dict[str, str], name: str) -> Row:
        """Outputs, and gradients of all weights, of one batch."""
        where = {"dimensions": 2} if name == "toy" else {"image_size": 32, "image_channels": 3}
        options = {"width": 8} | ({"cardinality": 2, "blocks": 1} if name == "r3gan" else {})
        if registry is BACKBONES and name == "amgan":
            options |= {"noise": 0.0, "dropout": 0.0}  # each device draws its own
        torch.manual_seed(0)
        with numerics():
            reference = find(registry[name], registry, "network")(**where, **options)
            shape = (8, getattr(reference, "latent_size", 0)) if registry is GENERATORS else (8, 3, 32, 32)
            inputs = torch.rand((8, 2) if name == "toy" and registry is BACKBONES else shape) * 2 - 1
            tried = copy.deepcopy(reference).to(self.device)
            dtype = torch.float64 if self.device == "cpu" else torch.float32
            pair = _computed(reference.to(dtype), inputs.to(dtype)), _computed(tried, inputs.to(self.device))
        return _difference(*pair, OF_GRADIENTS)

    def term(self, name: str, precision: str = "float32") -> Row:
        """The change of all weights in one step: gradients, as the optimiser is SGD."""
        is_host = issubclass(find(name, TERMS, "term"), AdversarialLoss)
        objective: dict[str, Any] = {name: {}} if is_host else {"non_saturating": {}, name: {}}
        objective |= {"multi_hinge": {}} if name == "semi_supervised" else {}
        dtype = torch.float64 if self.device == "cpu" else torch.float32
        changes = []
        for device, kind, how in (("cpu", dtype, "float32"), (self.device, torch.float32, precision)):
            with numerics(how):  # type: ignore[arg-type]
                changes.append(_changed_by_a_step(_state(objective, device, how, dtype=kind)))
        return _difference(*changes, OF_GRADIENTS if precision == "float32" else COARSE)

    def metric(self, name: str) -> Row:
        """All numbers of one metric, from the features of the embedded extractor."""
        count, found = 100 if self.small else 500, []
        real = sparring.load_images("fashion-mnist-10k", split="test", size=32)
        others = sparring.load_images("fashion-mnist-10k", split="train", size=32)
        for device, batch in (("cpu", 50), (self.device, 40)):
            extractor = extractor_for("fashion", real, device)
            with tempfile.TemporaryDirectory() as folder:  # statistics of one device are not another's
                records = evaluate_images(
                    lambda start, n: others.images[start : start + n], real, extractor=extractor, n=count, metrics=[name],
                    labels=others.labels[:count], batch_size=batch, cache=Path(folder),
                )  # fmt: skip
            values = [record["value"] for record in records if isinstance(record["value"], int | float)]
            found.append([torch.tensor(values, dtype=torch.float64)])
        return _difference(*found, 2 / count if name in ("prdc", "classes") else OF_SUMS)  # which count images

    def repeats(self) -> Row:
        """Two runs with `deterministic: true`."""
        objective: dict[str, Any] = {"hinge": {}, "sdp": {}, "r1": {}}
        with numerics(deterministic=True, fixed_shapes=True, device=self.device):
            ends = [_changed_by_a_step(_state(objective, self.device, "float32"), steps=3) for _ in range(2)]
        return {"ok": all(map(torch.equal, *ends))}

    def ranks(self) -> Row:
        """The change of all weights in three steps of two ranks that share the device, and of one."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "change.pt")
            words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
            words += ["--rank-of", str(file), "--device", self.device]
            both = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
            try:
                _, said = both.communicate()
            finally:
                both.terminate()  # which ends the ranks, if time is up
                both.wait()
            if both.returncode:
                raise RuntimeError(said.strip().splitlines()[-1])
            two = torch.load(file, weights_only=True)
        with numerics():
            one = _changed_by_a_step(_state(RANKS, self.device, "float32", normalisation="none"), steps=3)
        return _difference(one, two, OF_GRADIENTS)

    def data(self, count: int) -> Row:
        """Batches of images of 32 pixels with flips, on the device."""
        packed = synthetic_images(2_000 if self.small else 50_000, 32, 3, 10, "data")
        feed = Feed(packed, count, count, latent_size=128, flip=True, num_classes=10, device=torch.device(self.device))
        nth = itertools.count()
        for _ in range(5):
            list(feed.shares("discriminator", next(nth), {"real"}, {}))
        self._wait()
        start, batches = time.perf_counter(), 0
        while time.perf_counter() - start < (0.2 if self.small else 2):
            list(feed.shares("discriminator", next(nth), {"real"}, {}))
            batches += 1
        self._wait()
        return {"images_per_second": round(batches * count / (time.perf_counter() - start))}

    def step(self, name: str, precision: str, compile: bool = False) -> Row:
        """The library's step against the textbook's, which is never compiled, both in one precision."""
        changes = {"precision": precision, "compile": compile} | ({"batch_size": 4} if self.small else {})
        recipe, kind = Recipe.load(name, changes), torch.device(self.device).type
        gc.collect()  # the networks of the last one
        with numerics(recipe.precision, fixed_shapes=True):
            state = synthetic_state(recipe, device=self.device)
            twin, cycle = Textbook(state), cycle_of(recipe)
            batches = itertools.cycle([batch for i in range(4) for batch in synthetic_batches(state, i)])
            step = partial(ours_step(state), cycle)
            step()  # compiles, and lets cuDNN choose
            memory = self._peak_memory(step)

            def textbook() -> None:
                mixed = precision == "bfloat16"
                with torch.autocast(kind, torch.bfloat16, enabled=mixed, cache_enabled=False):  # weights change within
                    for _ in range(cycle):
                        twin.step(batches)

            pairs, wait = (1, 0) if self.small else (7, 2)
            found = alternate(step, textbook, pairs=pairs, warm_up=wait, device=torch.device(self.device))
            idle = self._idle(step)
            state.check_finite()
        times = {key: value / cycle if key.endswith("ms") else value for key, value in vars(found).items()}
        times["textbook_ms"] = times.pop("other_ms")
        return {"batch": recipe.batch_size, **times, "peak_mb": memory, "idle": idle}

    def _peak_memory(self, step: Callable[[], Any]) -> float | None:
        """The most megabytes that torch held on the device during a call."""
        if self.small:
            return None
        torch.cuda.reset_peak_memory_stats(self.device)
        step()
        return torch.cuda.max_memory_allocated(self.device) / 2**20

    def _idle(self, step: Callable[[], Any]) -> float | None:
        """The share of time in which the device runs no kernel."""
        if not self.device.startswith("cuda"):
            return None
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            start = time.perf_counter()
            for _ in range(3):
                step()
            self._wait()
            seconds = time.perf_counter() - start
        busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
        return max(0.0, 1 - busy / seconds)

    def _wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


def _state(
    objective: dict[str, Any],
    device: str,
    precision: str,
    *,
    dtype: torch.dtype = torch.float32,
    runtime: Runtime | None = None,
    normalisation: str = "batch",
) -> TrainingState:
    """A small run, late enough for every term to act."""
    player = {"optimizer": {"kind": "sgd", "lr": 0.05}}
    discriminator = {"kind": "dcgan", "width": 8, "normalisation": "none", "spectral_norm": "exact"}
    recipe = Recipe.load(
        {
            "data": "synthetic",
            "generator": {**player, "network": {"kind": "dcgan", "width": 8, "normalisation": normalisation}},
            "discriminator": {**player, "network": discriminator},
            "objective": objective,
            "steps": 2 * STEP,
            "batch_size": 8,
            "precision": precision,
        }
    )
    more = {"negatives": "negatives", "unlabelled": "semi_supervised"}
    extra = {key: synthetic_images(64, 32, 3, 0, key) for key, term in more.items() if term in objective}
    runtime = runtime or Runtime(torch.device(device), precision=recipe.precision)
    state = build(recipe, synthetic_images(64, 32, 3, 4, "real"), runtime=runtime, dtype=dtype, **extra)
    state.step = state.updates = STEP
    return state


def _changed_by_a_step(state: TrainingState, steps: int = 1) -> list[Tensor]:
    """How far each weight of both networks moves."""
    weights = [*state.generator.parameters(), *state.discriminator.parameters()]
    before = [weight.detach().clone() for weight in weights]
    for _ in range(steps):
        train_step(state)
    state.check_finite()
    return [(weight.detach() - old).cpu().double() for weight, old in zip(weights, before, strict=True)]


def _computed(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The outputs of a network, and the gradients of a function of them."""
    found = network(inputs, None)
    outputs = [found] if isinstance(found, Tensor) else [found[0], *found[1]]
    loss = sum((output * output.sin()).sum() for output in outputs)
    gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)  # type: ignore[arg-type]
    scale = max(float(g.abs().max()) for g in gradients if g is not None)
    values = [output.detach() for output in outputs] + [g / scale for g in gradients if g is not None]
    return [value.cpu().double() for value in values]


def _difference(a: Iterable[Tensor], b: Iterable[Tensor], most: float) -> Row:
    """The largest difference, of the largest number."""
    pairs = list(zip(a, b, strict=True))
    largest = max(float(x.abs().max()) for x, _ in pairs)
    found = max(float((x - y).abs().max()) for x, y in pairs) / max(largest, 1e-30)
    return {"difference": found, "ok": found <= most}


def rank_of(file: Path, device: str) -> int:
    """What each of two ranks does. NCCL takes no two ranks on one device, gloo does."""
    dist.init_process_group("gloo")
    runtime = Runtime.start(device)
    with numerics():
        change = _changed_by_a_step(_state(RANKS, device, "float32", runtime=runtime, normalisation="none"), steps=3)
    if runtime.is_main:
        torch.save(change, file)
    return 0


def run(
    sections: list[tuple[str, float, list[Job]]], seconds: float, start: float | None = None
) -> Iterator[tuple[str, str, Row]]:
    """Each job's row. A section may use what earlier ones left of their time; a job that takes longer is given up."""
    end, total = start or time.monotonic(), sum(share for _, share, _ in sections)
    for section, share, jobs in sections:
        end += share / total * seconds
        for name, job in jobs:
            left = end - time.monotonic()
            if left <= 0:
                yield section, name, {"left_out": "no time"}
                continue
            signal.signal(signal.SIGALRM, _stop)
            signal.setitimer(signal.ITIMER_REAL, left)
            try:
                row = job()
            except OutOfTime:
                row = {"left_out": "took too long"}
            except Exception as error:  # whatever it is, the other jobs go on
                row = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            yield section, name, row


class OutOfTime(BaseException):
    """Not an Exception, which the code under way might turn into another."""


def _stop(*_: Any) -> None:
    raise OutOfTime


def _line(name: str, row: Row) -> str:
    said = [f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()]
    mark = "FAILED " if "failed" in row or row.get("ok") is False else ""
    return f"  {name:44} {mark}{', '.join(said)}"


def main(words: list[str] | None = None, start: float | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="stop after so many (default: 8)")
    parser.add_argument("--device", default="cuda:0", help="cuda:0, or cpu as a trial")
    parser.add_argument("--only", nargs="*", help="names of sections (default: all)")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--rank-of", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.rank_of:
        return rank_of(given.rank_of, given.device)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch finds no GPU: try --device cpu --minutes 1, which is a trial")
    check = Check(given.device, small=given.device == "cpu")
    if check.small:
        compiled.BACKEND = "aot_eager"
    sections = [each for each in check.sections() if not given.only or each[0] in given.only]
    found: dict[str, dict[str, Row]] = {}
    facts = {"device": device_name(given.device), "torch": torch.__version__, "commit": commit()}
    for section, name, row in run(sections, 60 * given.minutes, start):
        found.setdefault(section, {})[name] = row
        print(section, name, row, file=sys.stderr, flush=True)
        given.out.write_text(json.dumps({**facts, "sections": found}, indent=1) + "\n")
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for section, rows in found.items():
        print(f"\n{section}")
        print("\n".join(_line(name, row) for name, row in rows.items()))
    bad = [row for rows in found.values() for row in rows.values() if "failed" in row or row.get("ok") is False]
    print(f"\n{len(bad)} failed; JSON in {given.out}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(start=START))
