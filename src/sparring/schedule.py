"""Schedules: learning rates, term weights and EMA decays as functions of the step."""

from __future__ import annotations

from pydantic import BaseModel, Field, model_validator

from sparring.limits import WHOLE


class Schedule(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A function of the generator step: linear between the `knots` (step, value), constant before and after them."""

    knots: tuple[tuple[int, float], ...] = Field(min_length=1)
    """Pairs of a step and the value there, with increasing steps."""

    @model_validator(mode="after")
    def _in_order(self) -> Schedule:
        steps = [step for step, _ in self.knots]
        if any(abs(step) > WHOLE for step in steps):
            raise ValueError("a schedule's steps must be whole numbers of at most 64 bits")
        if any(later <= earlier for earlier, later in zip(steps, steps[1:], strict=False)):
            raise ValueError(f"a schedule's knots must have increasing steps, got steps {steps!s:.60}")
        return self

    def at(self, step: int) -> float:
        """The value at a generator step."""
        left_step, left = self.knots[0]
        for right_step, right in self.knots[1:]:
            if step < right_step:
                return left + (right - left) * max(0, step - left_step) / (right_step - left_step)
            left_step, left = right_step, right
        return left

    def scaled(self, factor: float) -> Schedule:
        """The same schedule for a run `factor` times as long. Of knots that round to the same step, the later one wins."""
        knots: dict[int, float] = {}
        for step, value in self.knots:
            knots[round(step * factor)] = value
        return Schedule(knots=tuple(knots.items()))


Scheduled = Schedule | float


def value_at(number: Scheduled, step: int) -> float:
    """The value of a number or schedule at a generator step."""
    return number.at(step) if isinstance(number, Schedule) else number
