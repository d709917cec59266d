"""Samples at the board: the images of `sparring sample`, drawn by one worker that is bounded in every way."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sparring
from board_runs import made_run
from sparring.errors import SparringError
from sparring.web.board import sampling, worker
from sparring.web.board.folders import find
from sparring.web.board.runs import Run
from sparring.web.board.sampling import BusyError, Sampler, wanted
from tiny_generators import NAMES, written

FACTS = {"num_classes": 3, "size": 32}


def asked(run: Run, **more: Any) -> dict[str, Any]:
    weights, changed = run.weights()
    return {"weights": weights, "changed": changed, "allow_code": False, **wanted(more, FACTS)}


def pixels(png: str) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(png))))).permute(2, 0, 1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = made_run(tmp_path / "run")
    for path in written(tmp_path / "made", conditioning="conditional_batch_norm").iterdir():
        path.rename(made / path.name)
    return Run(find([made])[0][0])


def test_the_images_are_those_of_sparring_sample(run: Run) -> None:
    generator = sparring.load(run.place.path)
    found = worker.answer(asked(run, first=3, count=2, label=1, truncation=0.7))
    expected = generator.sample(seeds="3-4", labels="bee", truncation=0.7)
    assert torch.equal(torch.stack([pixels(png) for png in found["images"]]), expected)
    assert found["captions"] == ["seed 3, bee", "seed 4, bee"] and found["size"] == 32
    each = worker.answer(asked(run, first=5, count=3, label="each"))
    expected = torch.cat([generator.sample(seeds=[5], labels=name) for name in NAMES])
    assert torch.equal(torch.stack([pixels(png) for png in each["images"]]), expected)
    assert len(set(each["images"])) == 3 and each["captions"][2] == "seed 5, cat"


def test_what_a_generator_offers_and_when_it_can_be_sampled(run: Run) -> None:
    assert run.generator() == {"classes": list(NAMES), "step": 3, "version": run.generator()["version"], **FACTS}
    (run.place.path / "generator.safetensors").rename(run.place.path / "moved")
    (run.place.path / "generator.safetensors").symlink_to(run.place.path / "moved")
    with pytest.raises(SparringError, match="no generator of images yet"):
        run.generator()
    with pytest.raises(SparringError, match="no generator yet"):
        run.weights()


def test_a_generator_with_code_of_its_own_is_refused_without_consent(run: Run, tmp_path: Path) -> None:
    import json

    from safetensors.torch import load_file, save_file

    path = run.place.path / "generator.safetensors"
    described = json.loads((run.place.path / "generator.json").read_text())
    described["network"]["kind"] = "strangers_module:Generator"
    save_file(load_file(path), path, {"sparring": json.dumps(described)})
    said = worker.answer(asked(run))["message"]
    assert "names code that does not ship" in said and "--allow-code" in said


def test_generators_are_kept_few_and_opened_again_when_they_change(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_loaded", type(worker._loaded)())
    worker.answer(asked(run, count=1))
    before = dict(worker._loaded)
    worker.answer(asked(run, count=1))
    assert dict(worker._loaded) == before
    for i in range(4):
        worker.answer(asked(run, count=1) | {"changed": (i, 0, 0)})
    assert len(worker._loaded) == worker.KEPT
    (run.place.path / "generator.safetensors").write_bytes(b"x")
    assert "damaged" in worker.answer(asked(run))["message"]


def test_a_sheet_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(SparringError, match="64 images of this size are too many at once"):
        wanted({"count": 64}, {"num_classes": 0, "size": 512})
    assert wanted({"count": 16}, {"num_classes": 0, "size": 512})["count"] == 16
    with pytest.raises(SparringError, match="the class is a number below 0"):
        wanted({"label": 0}, {"num_classes": 0, "size": 8})


def test_one_request_at_a_time_and_few_that_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    async def slow(self: Sampler, request: Any) -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return {"images": []}

    async def many() -> list[Any]:
        sampler = Sampler()
        return await asyncio.gather(*(sampler.draw(run, {}) for _ in range(20)), return_exceptions=True)

    monkeypatch.setattr(Sampler, "_answered", slow)
    answers = asyncio.run(many())
    assert most == 1 and sum(isinstance(each, BusyError) for each in answers) == 20 - sampling.WAITING


def test_the_worker_is_started_once_and_a_lost_or_slow_one_is_replaced(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> None:
        sampler = Sampler()
        one = wanted({"count": 1, "label": 2}, FACTS)
        try:
            found = await sampler.draw(run, one)
            first = sampler._process
            assert first is not None and found["captions"] == ["seed 0, cat"]
            assert (await sampler.draw(run, one)) == found and sampler._process is first
            first.kill()
            with pytest.raises(SparringError, match="takes too much time or memory"):
                await sampler.draw(run, one)
            monkeypatch.setattr(sampling, "PATIENCE", 0.05)  # far less than the import of torch
            with pytest.raises(SparringError, match="takes too much time or memory"):
                await sampler.draw(run, one)
            assert sampler._process is None
        finally:
            await sampler.close()
        assert first.returncode is not None

    asyncio.run(use())
