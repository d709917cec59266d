"""The stream of rows: every image once per epoch, computed only from counters."""

from __future__ import annotations

import pytest
import torch

from sparring.data import Stream
from sparring.errors import SparringError
from sparring.randomness import generator_for


def test_rows_concatenate_the_seeded_permutations_of_the_epochs():
    longhand = [torch.randperm(5, generator=generator_for(7, "reals", epoch)).tolist() for epoch in range(4)]
    sequence = [row for epoch in longhand for row in epoch]
    stream = Stream(5, 7, "reals")
    assert stream.rows(0, 20).tolist() == sequence
    assert stream.rows(3, 4).tolist() == sequence[3:7]  # from one epoch into the next
    assert stream.rows(4, 12).tolist() == sequence[4:16]  # a batch larger than an epoch
    assert stream.rows(19, 1).tolist() == sequence[19:]
    assert stream.rows(8, 0).tolist() == []
    assert stream.rows(0, 1).dtype == stream.rows(0, 0).dtype == torch.int64


def test_each_epoch_holds_every_row_once_and_all_epochs_differ():
    rows = Stream(50, 0).rows(0, 200).view(4, 50)
    assert all(epoch.sort().values.tolist() == list(range(50)) for epoch in rows)
    assert len({tuple(epoch.tolist()) for epoch in rows}) == 4


def test_earlier_calls_change_nothing():
    fresh = [Stream(7, "key").rows(start, 5).tolist() for start in range(60)]
    stream = Stream(7, "key")
    for start in (*range(59, -1, -1), *range(60), 13, 0, 59):
        assert stream.rows(start, 5).tolist() == fresh[start]


def test_the_global_generator_is_not_used():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first = Stream(9, 1).rows(0, 30)
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(99)
    assert torch.equal(Stream(9, 1).rows(0, 30), first)


def test_every_part_of_the_key_counts():
    streams = [Stream(30, *key) for key in ((0, "reals"), (1, "reals"), (0, "negatives"), (0,), ())]
    assert len({tuple(stream.rows(0, 30).tolist()) for stream in streams}) == 5


def test_writing_into_the_returned_rows_does_no_harm():
    stream = Stream(6, 3)
    before = stream.rows(0, 6).clone()
    stream.rows(0, 6).zero_()
    assert torch.equal(stream.rows(0, 6), before)


def test_memory_is_that_of_a_few_epochs():
    stream = Stream(4, 0)
    for start in range(0, 400, 3):
        stream.rows(start, 3)
    assert len(stream._epochs) == 3


def test_the_epoch_of_a_row():
    assert [Stream(3).epoch_of(n) for n in (0, 2, 3, 8, 9)] == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("size", "start", "count", "message"),
    [
        (0, 0, 1, "a stream needs at least one image, got 0"),
        (3, -1, 1, "from 0, got -1 and 1"),
        (3, 0, -2, "from 0, got 0 and -2"),
    ],
)
def test_impossible_arguments_are_refused(size, start, count, message):
    with pytest.raises(SparringError, match=message):
        Stream(size).rows(start, count)
