"""Random wrong recipes and damaged files, the same ones in every run: none ends in a traceback. See `fuzzing`."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.outcome import command, outcome_of
from fuzzing.recipes import try_recipe
from fuzzing.samples import make_samples, try_file
from sparring.recipe.files import shipped_recipes

pytestmark = pytest.mark.usefixtures("without_reports")
# suppressed: health checks of time and size
FEW = settings(derandomize=True, database=None, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def samples(place):
    return make_samples(place)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`folder()` empties and returns the same work folder each time: hypothesis runs many examples in one test."""
    work = tmp_path / "work"

    def fresh():
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        monkeypatch.chdir(work)
        return work

    return fresh


@FEW
@given(random=st.randoms(use_true_random=False))
def test_damaged_files_are_refused_in_one_line_or_read(samples, folder, random):
    name, outcome = try_file(random, samples, folder())
    assert not outcome.wrong, f"{name}: {outcome.wrong}"


@FEW
@given(random=st.randoms(use_true_random=False))
def test_wrong_recipes_are_refused_in_one_line_or_run(samples, place, folder, random):
    shipped = list(shipped_recipes())
    name, outcome = try_recipe(random, shipped, place / "images.npz", folder())
    assert not outcome.wrong, f"{name}: {outcome.wrong}"


def test_valid_files_are_read(samples, folder):
    """The files above are valid before they are damaged. Otherwise they would be refused for another reason."""
    for sample in samples:
        path = folder() / sample.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.content)
        outcome = outcome_of(sample.read(path))
        assert outcome.code == 0 and not outcome.wrong, f"{sample.name}: {outcome.message} {outcome.wrong}"


def test_a_traceback_a_long_message_and_other_codes_are_faults(folder, tmp_path):
    from sparring.errors import SparringError

    def stop(code, text=""):
        import sys

        sys.stderr.write(text)
        sys.exit(code)

    def refuse():
        raise SparringError("wrong")

    def forever():
        while True:
            pass

    assert outcome_of(lambda: [][0]).wrong.startswith("IndexError")
    assert outcome_of(forever, seconds=0.2).wrong.startswith("OutOfTime")
    assert outcome_of(lambda: bytearray(10**10), more=2**28).wrong.startswith("MemoryError")
    assert outcome_of(lambda: stop(1)).wrong and outcome_of(lambda: stop(2)).wrong
    assert outcome_of(lambda: stop(2, "x" * 700)).wrong
    assert not outcome_of(refuse).wrong and outcome_of(refuse).code == 2
    assert outcome_of(command("show", "quickstrat")).code == 2
