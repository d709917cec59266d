"""Schedules by hand, and what every term has."""

import pytest

from sparring import R1, Hinge
from sparring.schedule import Schedule, value_at

COURSE = Schedule(knots=((10, 2.0), (20, 4.0), (24, -8.0)))


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (0, 2.0),  # before the first knot: its value
        (9, 2.0),
        (10, 2.0),
        (11, 2.2),
        (15, 3.0),
        (19, 3.8),
        (20, 4.0),
        (21, 1.0),
        (23, -5.0),
        (24, -8.0),
        (1000, -8.0),  # after the last: its value
    ],
)
def test_a_schedule_is_straight_between_its_knots(step, value):
    assert COURSE.at(step) == pytest.approx(value, abs=1e-12)
    assert value_at(COURSE, step) == COURSE.at(step)


def test_a_plain_number_is_the_same_at_every_step():
    assert value_at(0.25, 0) == value_at(0.25, 10**6) == 0.25


def test_a_schedule_of_one_knot_is_a_number():
    assert [Schedule(knots=((5, 3.0),)).at(step) for step in (0, 5, 50)] == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("steps", [(0, 0), (3, 2), (0, 5, 5), (0, 5, 4), (7, 0, 9)])
def test_knots_are_in_order_each_step_once(steps):
    with pytest.raises(ValueError, match="knots must have increasing steps"):
        Schedule(knots=tuple((step, 1.0) for step in steps))


def test_a_scaled_schedule_has_the_same_course():
    half = COURSE.scaled(0.5)
    assert half.knots == ((5, 2.0), (10, 4.0), (12, -8.0))
    assert [half.at(step) for step in (0, 6, 10, 11)] == pytest.approx([COURSE.at(2 * step) for step in (0, 6, 10, 11)])
    assert COURSE.scaled(0.1).knots == ((1, 2.0), (2, -8.0))  # 20 and 24 fall together: the later value


def test_a_term_at_a_step_has_numbers_for_schedules():
    term = R1(weight=COURSE, generator_weight=Schedule(knots=((0, 1.0), (2, 3.0))), every=4)
    now = term.at(15)
    assert (now.weight, now.generator_weight, now.every) == (3.0, 3.0, 4)
    assert term.weight is COURSE and Hinge(weight=0.5).at(3).weight == 0.5
    assert term.scaled(2.0).weight.knots == ((20, 2.0), (40, 4.0), (48, -8.0))
    assert term.scaled(2.0).generator_weight.knots == ((0, 1.0), (4, 3.0))
