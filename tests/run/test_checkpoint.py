"""Checkpoints: whole or absent, verified, plain data; the last two and the best stay."""

import errno
import os
import pickle
import zipfile

import pytest
import torch

from sparring.errors import SparringError
from sparring.run import checkpoint
from sparring.run.checkpoint import CheckpointFolder, DamagedCheckpointError, load_checkpoint, save_checkpoint

STATE = {"step": 3, "weights": {"w": torch.arange(5000.0)}, "ledger": {"keys": ["a"], "values": [0.5]}, "average": None}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "step-000003.pt"
    save_checkpoint(path, STATE)
    return path


def test_what_was_saved_comes_back_without_running_code(saved):
    back = load_checkpoint(saved)
    assert torch.equal(back.pop("weights")["w"], STATE["weights"]["w"])
    assert back == {k: v for k, v in STATE.items() if k != "weights"}
    assert torch.load(saved, weights_only=True)["state"]["step"] == 3


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_named(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedCheckpointError, match=r"step-000003\.pt is damaged"):
        load_checkpoint(saved)


def test_any_flipped_bit_of_the_content_is_noticed(saved):
    content = saved.read_bytes()
    generator = torch.Generator().manual_seed(0)
    noticed = 0
    for position in torch.randint(len(content), (60,), generator=generator).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        saved.write_bytes(flipped)
        try:
            back = load_checkpoint(saved)
        except SparringError as error:
            assert "step-000003.pt" in str(error)
            noticed += 1
        else:  # a bit between the parts, of padding: the content must be as it was
            assert torch.equal(back["weights"]["w"], STATE["weights"]["w"]) and back["step"] == 3
    assert noticed > 40


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("made-by-the-pickle",)


@pytest.mark.parametrize("kind", ["torch", "plain"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "step-000001.pt"
    if kind == "torch":
        torch.save({"format": 1, "hash": "", "state": _Evil()}, path)
    else:
        path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(DamagedCheckpointError, match=r"refused|not read"):
        load_checkpoint(path)
    assert not (tmp_path / "made-by-the-pickle").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([1, 2], "not a checkpoint of a run"),
        ({"state": {}}, "not a checkpoint of a run"),
        ({"format": 99, "hash": "", "state": {}}, "format 99"),
        ({"format": torch.ones(2), "hash": "", "state": {}}, "format tensor"),
        ({"format": 1, "hash": "abc", "state": {"step": 1}}, "hash"),
        ({"format": 1, "hash": "abc", "state": torch.ones(1)}, "damaged"),
    ],
)
def test_other_torch_files_are_no_checkpoints(tmp_path, content, what):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(DamagedCheckpointError, match=what):
        load_checkpoint(tmp_path / "x.pt")


def test_a_step_that_is_no_number_is_damage(tmp_path):
    save_checkpoint(tmp_path / "step-000003.pt", {"step": torch.ones(2)})
    with pytest.raises(SparringError, match=r"is a checkpoint of step tensor.*; no other one is good"):
        CheckpointFolder(tmp_path).load(lambda state: None, None, print)


def test_a_zip_of_something_else_and_a_missing_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("hello.txt", "hello")
    with pytest.raises(DamagedCheckpointError, match=r"x\.pt is damaged"):
        load_checkpoint(tmp_path / "x.pt")
    with pytest.raises(SparringError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_full_disk_leaves_the_checkpoints_before_it(saved, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    with pytest.raises(SparringError, match=r"cannot write .*step-000004.pt: No space.*intact. Free some space"):
        save_checkpoint(saved.with_name("step-000004.pt"), STATE)
    monkeypatch.undo()
    assert load_checkpoint(saved)["step"] == 3
    assert len(list(saved.parent.iterdir())) == 1


def test_a_folder_in_the_place_of_a_checkpoint_is_named(saved):
    (path := saved.with_name("step-000004.pt")).mkdir()
    with pytest.raises(
        SparringError, match=r"step-000004.pt: a folder is in its place.*Move the folder away"
    ) as caught:
        save_checkpoint(path, STATE)
    assert "space" not in str(caught.value)
    assert load_checkpoint(saved)["step"] == 3


def test_the_last_two_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.last() is None
    for step, value in [(1, 5.0), (2, 3.0), (3, 4.0), (4, 3.5), (5, 6.0)]:
        assert folder.note_best(step, "fd", value, lower_is_better=True) == (step in (1, 2))
        folder.save(step, {"step": step})
    assert folder.steps() == [2, 4, 5]
    assert folder.best() == {"step": 2, "metric": "fd", "value": 3.0}
    assert folder.last() == 5
    assert not CheckpointFolder(tmp_path).note_best(6, "fd", 3.0, lower_is_better=True)  # a tie keeps the first
    assert folder.note_best(7, "fd", 9.0, lower_is_better=False)


def test_a_recipe_may_keep_more_of_them(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in range(1, 6):
        folder.save(step, {"step": step})
    assert folder.steps() == [3, 4, 5]


def test_beyond_the_step_that_a_run_resumes_from_nothing_stays(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3):
        folder.note_best(step, "fd", 10.0 - step, lower_is_better=True)
        folder.save(step, {"step": step})
    folder.forget_after(2)
    assert folder.steps() == [2] and folder.best() is None
    folder.forget_after(-1)
    assert folder.steps() == []


def test_for_a_bad_checkpoint_the_good_one_before_it_is_offered(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (10, 20):
        folder.save(step, {"step": step})
    assert "previous good one is step-000010.pt: add --resume-from 10" in folder.others(20)
    assert "good one after it is step-000020.pt: add --resume-from 20" in folder.others(10)
    folder.path(10).write_bytes(b"")
    assert "no other one is good" in folder.others(20)
