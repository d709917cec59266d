"""Numbers that change with the step, pure in the step: of learning rates, weights of terms and moving averages."""

from __future__ import annotations

from pydantic import BaseModel, Field, model_validator

from sparring.limits import WHOLE


class Schedule(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A number that depends on the generator step alone: linear between `knots` (step, value), constant outside them."""

    knots: tuple[tuple[int, float], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Schedule:
        steps = [step for step, _ in self.knots]
        if any(abs(step) > WHOLE for step in steps):
            raise ValueError("a schedule's steps are whole numbers of at most 64 bits")
        if any(later <= earlier for earlier, later in zip(steps, steps[1:], strict=False)):
            raise ValueError(f"a schedule's knots are in order of their step, each step once; got steps {steps!s:.60}")
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
        """The same course over a run `factor` times as long; knots that would fall together keep the later value."""
        knots: dict[int, float] = {}
        for step, value in self.knots:
            knots[round(step * factor)] = value
        return Schedule(knots=tuple(knots.items()))


Number = Schedule | float


Scheduled = Number


def value_at(number: Scheduled, step: int) -> float:
    """A scheduled number at a generator step."""
    return number.at(step) if isinstance(number, Schedule) else number
