"""Figures of rows of runs; what a study draws with them is in tests/study/test_page.py."""

from sparring.report.side_by_side import mean_curve


def test_means_are_of_the_steps_that_all_runs_have() -> None:
    runs = {0: ([1, 2, 3], [2.0, 4.0, 6.0]), 1: ([1, 3], [4.0, 8.0])}
    assert mean_curve(runs) == ([1, 3], [3.0, 7.0]) and mean_curve({}) == ([], [])
