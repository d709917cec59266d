"""The objective: named terms, their sum for each player, and their use in your own training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparring.errors import SparringError, one_line
from sparring.networks.contract import class_name, shape_of, users_code
from sparring.networks.discriminator import Head
from sparring.networks.frozen import frozen
from sparring.networks.spectral import held
from sparring.objective.attach import Attached
from sparring.objective.context import Player, StepContext
from sparring.objective.round import SIDES, Round
from sparring.objective.term import ActiveTerm, AdversarialLoss, Build, Term
from sparring.schedule import value_at

LONGEST_CYCLE = 64  # most updates to examine of terms that act periodically
SIDE_NEEDS = {"images", "gradient", "differentiated", "second_order"}


class Objective:
    """Named terms, exactly one of them an adversarial loss.

        objective = Objective(hinge=Hinge(), sdp=SDP(k=5), r1=R1(every=16))

    The trainer uses it; `attach`, `discriminator` and `generator` serve your own loop, with your networks and optimisers.
    """

    def __init__(self, terms: Mapping[str, Term] | None = None, /, **named: Term):
        self.terms: dict[str, Term] = {**(terms or {}), **named}
        hosts = [name for name, term in self.terms.items() if isinstance(term, AdversarialLoss)]
        _check_one_host(hosts)
        self.host_name = hosts[0]
        self.memory = {}
        for name, term in self.terms.items():
            with _asking(name, term):
                if state := term.initial_state():
                    self.memory[name] = state
        _agree_on_heads(self.terms)

    def __repr__(self) -> str:
        return f"Objective({', '.join(f'{name}={term!r}' for name, term in self.terms.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and list(self.terms.items()) == list(other.terms.items())

    # --- which terms are active ---
    def host(self, step: int) -> AdversarialLoss:
        """The adversarial loss, its schedules resolved at a generator step."""
        host = self.terms[self.host_name].at(step)
        assert isinstance(host, AdversarialLoss)
        return host

    def heads(self) -> dict[str, Head]:
        """Every head that a term asks for, by name; a term whose weights are 0 throughout asks for none."""
        return {head.name: head for term in self.terms.values() if _ever_acts(term) for head in term.heads()}

    def coupling(self) -> list[str]:
        """The names of the terms that act on each rank's share of a batch, not on the whole of it."""
        return [name for name, term in self.terms.items() if term.couples_samples and _ever_acts(term)]

    def differentiated_twice(self) -> list[str]:
        """The names of the terms whose losses contain a gradient with respect to images."""
        return [
            name
            for name, term in self.terms.items()
            if _ever_acts(term)
            and (term.differentiates_twice or any(n.endswith(".second_order") for n in term.needs("discriminator", 0)))
        ]

    def active(self, player: Player, step: int, update: int) -> list[ActiveTerm]:
        """The terms that act in this update. A term of weight 0 is absent: it is not called and needs nothing."""
        acting = []
        for name, scheduled in self.terms.items():
            term = scheduled.at(step)
            weight = term.weight_for(player)
            every = getattr(term, "every", 1)
            needs = frozenset(term.needs(player, update))
            if weight == 0 or update % every or not needs:
                continue
            _check_needs(name, needs)
            acting.append(ActiveTerm(name, term, value_at(weight, step) * every, needs))
        return acting

    def needs(self, player: Player, step: int, update: int) -> frozenset[str]:
        return frozenset().union(*(active.needs for active in self.active(player, step, update)))

    def check(self, build: Build) -> None:
        """Raise SparringError if a term cannot work in the run that is being built."""
        for name, term in self.terms.items():
            with _asking(name, term):
                for player in ("discriminator", "generator"):
                    for update in range(min(max(1, getattr(term, "every", 1)), LONGEST_CYCLE)):
                        _check_needs(name, term.needs(player, update))  # type: ignore[arg-type]
                if any(head.outputs == "num_classes" for head in term.heads()) and not build.num_classes:
                    raise SparringError(f"{name} needs class labels, and the data have none")
                term.check(build.model_copy(update={"objective": self}))

    # --- losses ---
    def loss(self, r: Round) -> Tensor | None:
        """The weighted sum of the active terms' losses for the round's player; each raw value goes to `r.logs`."""
        total = None
        for active in r.active:
            r.reader = active.name
            value = _value(active, f"{r.player}_loss", r)
            if value is not None:
                r.logs[active.name] = value.detach()
                total = active.weight * value if total is None else total + active.weight * value
        r.reader = None
        return total

    def prepare_gradients(self, r: Round, backward_scale: float = 1.0) -> None:
        """Provide each declared `<side>.gradient`, that of the host alone, between the loss and its backward pass.

        If nothing but the host adds to the leaf that the backward pass fills, it is read from there; otherwise it costs one
        gradient with respect to the images. `backward_scale` is the factor by which the caller multiplies the loss.
        """
        for name, free in self.gradient_sources(r.active).items():
            side = r.sides[name]
            if free:
                weight = next(active.weight for active in r.active if active.name == self.host_name)
                side.gradient_scale = weight * backward_scale
            else:
                loss = r.host.on_real(side) if name == "real" else r.host.on_fake(side)
                gradient, = torch.autograd.grad(loss.mean(), side.input, retain_graph=True)  # fmt: skip
                side.keep_gradient(gradient)

    def gradient_sources(self, active: list[ActiveTerm]) -> dict[str, bool]:
        """For each side whose host gradient is declared: whether the first backward pass yields it at no cost."""
        sources = {}
        for name in SIDES:
            if not any(f"{name}.gradient" in a.needs for a in active):
                continue
            readers = [a.name for a in active if a.needs & {name, f"{name}.second_order", f"{name}.differentiated"}]
            host = next((a.term for a in active if a.name == self.host_name), None)
            plain = isinstance(host, AdversarialLoss) and host.is_sum_of_sides
            sources[name] = plain and readers == [self.host_name]
        return sources

    def second_rounds(self, r: Round) -> Iterator[tuple[ActiveTerm, Round]]:
        """Each term that takes a second discriminator update, with its round at the weights after the first."""
        for active in r.active:
            if r.player == "discriminator" and active.term.has_second_update:
                yield active, r.after_update(active)

    def second_loss(self, active: ActiveTerm, r: Round) -> Tensor | None:
        """The weighted loss of a term's second update; its raw value goes to `r.logs`."""
        r.reader = active.name
        value = _value(active, "second_update", r)
        r.reader = None
        if value is None:
            return None
        r.logs[f"{active.name}/second_update"] = value.detach()
        return active.weight * value

    # --- in your own loop ---
    def attach(
        self,
        module: nn.Module,
        *,
        blocks: list[str] | tuple[str, ...] = (),
        heads: Mapping[str, str] | None = None,
        couples_batch: bool | None = None,
        num_classes: int = 0,
    ) -> Attached:
        """Wrap any discriminator so that the terms can read it. It is not changed; its parameters are yours to optimise.

        module: `module(images)` or `module(images, labels)` returns the score, [B] or [B, 1, ...], or a dict of heads by
            name (`score`, `class_logits`, ...). blocks: submodules whose outputs are the blocks. heads: submodules whose
            outputs are further heads. couples_batch: whether samples of a batch see each other; None: whether there is
            batch norm inside. The library's own discriminators can be attached too.
        """
        return Attached(
            module, asked=self.heads(), blocks=blocks, heads=heads, couples_batch=couples_batch, num_classes=num_classes
        )

    def discriminator(
        self,
        judge_network: Attached,
        real: Tensor,
        fake: Tensor,
        *,
        step: int,
        update: int | None = None,
        labels: Tensor | None = None,
        fake_labels: Tensor | None = None,
        negative: Tensor | None = None,
        unlabelled: Tensor | None = None,
        seed: int = 0,
        **more: Any,
    ) -> DiscriminatorUpdate:
        """The discriminator's loss on a batch: `.loss.backward()`, step, then a step for each of `.second_updates()`.

        step: generator updates so far, which schedules depend on. update: this discriminator's, counted here if None.
        """
        _check_attached(judge_network)
        if update is None:
            update, judge_network.updates = judge_network.updates, judge_network.updates + 1
        sides = _sides(real=(real, labels), fake=(fake, fake_labels), negative=negative, unlabelled=unlabelled)
        sides["fake"] = (fake.detach(), fake_labels)
        context = StepContext("discriminator", step, update, seed)
        r = self._round(judge_network, sides, context, more)
        with held(judge_network, iterate=True):
            r.judge_sides()
            loss = self.loss(r)
            if loss is None:
                raise SparringError(f"no term of {self!r} acts on the discriminator in update {update}")
            self.prepare_gradients(r)
        self.memory.update(r.proposed)
        return DiscriminatorUpdate(loss, self, judge_network, r)

    def generator(
        self,
        judge_network: Attached,
        real: Tensor,
        fake: Tensor,
        *,
        step: int,
        labels: Tensor | None = None,
        fake_labels: Tensor | None = None,
        seed: int = 0,
        **more: Any,
    ) -> Update:
        """The generator's loss; `fake` carries its graph. The discriminator is frozen in it."""
        _check_attached(judge_network)
        sides = _sides(real=(real, labels), fake=(fake, fake_labels))
        r = self._round(judge_network, sides, StepContext("generator", step, step, seed), more)
        with frozen(judge_network), held(judge_network, iterate=False):
            r.judge_sides()
            loss = self.loss(r)
        if loss is None:
            raise SparringError(f"no term of {self!r} acts on the generator in step {step}")
        return Update(loss, r.logs)

    def _round(
        self, judge_network: Attached, sides: dict[str, Any], context: StepContext, more: dict[str, Any]
    ) -> Round:
        return Round(
            judge_network,
            sides,
            context=context,
            active=self.active(context.player, context.step, context.update),
            host=self.host(context.step),
            num_classes=judge_network.num_classes,
            memory=self.memory,
            **more,
        )


def _value(active: ActiveTerm, method: str, r: Round) -> Tensor | None:
    """The loss from a method of a term. Raises SparringError, naming the term, if it fails or returns no scalar."""
    who, like = _term_name(active.name, active.term), next(iter(r.sides.values())).images
    with users_code(f"{who} in {method}", like):
        value: Tensor | None = getattr(active.term, method)(r)
    if value is None or (isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()):
        return value
    mean = ", such as the mean over its samples" if isinstance(value, Tensor) and value.ndim else ""
    raise SparringError(
        f"{who} returns {shape_of(value)} from {method}: a loss is a scalar tensor of floats{mean}, or None"
    )


@contextmanager
def _asking(name: str, term: Term) -> Iterator[None]:
    """Wraps calls that ask a term about itself, before training."""
    with one_line(f"{_term_name(name, term)} cannot be used: "):
        yield


def _term_name(name: str, term: Term) -> str:
    kind = class_name(term)
    return f"term {name} ({kind})" if ":" in kind else f"term {name}"


class Update:
    """One update: `loss`, a scalar to call `backward` on, and `logs`, the raw value of each term."""

    def __init__(self, loss: Tensor, logs: dict[str, Tensor]):
        self.loss, self.logs = loss, logs


class DiscriminatorUpdate(Update):
    """A discriminator update that may be followed by others at the weights that it leads to."""

    def __init__(self, loss: Tensor, objective: Objective, judge_network: Attached, r: Round):
        super().__init__(loss, r.logs)
        self._objective, self._judge_network, self._round = objective, judge_network, r

    def second_updates(self) -> Iterator[Tensor]:
        """The loss of each further update, judged only when asked for, so step the optimiser on one before the next."""
        for active, again in self._objective.second_rounds(self._round):
            with held(self._judge_network, iterate=True):
                again.judge_sides()
                loss = self._objective.second_loss(active, again)
            self.logs.update(again.logs)
            if loss is not None:
                yield loss


def _check_attached(judge_network: Any) -> None:
    if not hasattr(judge_network, "extract"):
        raise SparringError(
            f"{class_name(judge_network)} is not attached: pass what objective.attach(discriminator) returns"
        )


def _sides(**sides: Any) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Batches as (images, labels); negatives get label -1, and other tensors without labels unknown ones."""
    batches = {}
    for name, side in sides.items():
        if side is None:
            continue
        images, labels = side if isinstance(side, tuple) else (side, None)
        if not isinstance(images, Tensor) or not images.is_floating_point() or images.ndim < 2:
            raise SparringError(f"{name} samples are a tensor [B, ...] of floats in [-1, 1], got {shape_of(images)}")
        if labels is not None and (
            not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != images.shape[:1]
        ):
            raise SparringError(
                f"labels of {len(images)} {name} samples are int64 [{len(images)}], got {shape_of(labels)}"
            )
        if name == "negative":
            labels = torch.full((len(images),), -1, dtype=torch.int64, device=images.device)
        batches[name] = (images, labels)
    return batches


def _check_needs(name: str, needs: set[str] | frozenset[str]) -> None:
    if not isinstance(needs, set | frozenset):
        raise SparringError(f"needs() of {name} returns a set, such as {{'real', 'fake'}}, got {needs!r:.60}")
    for need in needs:
        side, _, aspect = need.partition(".")
        if need not in ("blocks", "penalties") and (side not in SIDES or (aspect and aspect not in SIDE_NEEDS)):
            aspects = ", .".join(sorted(SIDE_NEEDS))
            allowed = f"blocks, penalties, or one of {', '.join(SIDES)}, alone or with .{aspects}"
            raise SparringError(f"{name} needs '{need}', which is not part of a round: {allowed}")


def _ever_acts(term: Term) -> bool:
    """Whether the weight is ever other than 0 for a player that the term acts on."""
    if term.weight != 0:
        return True
    return term.generator_weight not in (None, 0) and bool(term.needs("generator", 0))


def _check_one_host(hosts: list[str]) -> None:
    if len(hosts) == 1:
        return
    if hosts:
        *others, last = hosts  # an override comes after what it was meant to replace
        removed = " ".join(f"objective.{name}=null" for name in others)
        problem = f"{' and '.join(hosts)}: to replace {' and '.join(others)} by {last}, add {removed}"
    else:
        problem = "none: add one, such as objective.hinge={}"
    raise SparringError(f"an objective has exactly one adversarial loss, this one has {problem}")


def _agree_on_heads(terms: Mapping[str, Term]) -> None:
    """Terms that ask for a head of one name ask for the same one."""
    asked: dict[str, tuple[str, Head]] = {}
    for name, term in terms.items():
        with _asking(name, term):
            heads = term.heads()
        if not isinstance(heads, tuple | list) or not all(isinstance(head, Head) for head in heads):
            raise SparringError(f"heads() of {_term_name(name, term)} returns a tuple of Head, got {heads!r:.60}")
        for head in heads:
            if not head.name or "." in head.name or hasattr(nn.ModuleDict, head.name):  # which holds the heads
                raise SparringError(
                    f"{name}: no head can be called '{head.name:.60}', which torch uses itself: rename it"
                )
            other, first = asked.setdefault(head.name, (name, head))
            if first != head:
                raise SparringError(
                    f"{other} and {name} ask for different heads called '{head.name}' ({first!r}, {head!r}): "
                    "give one of them another `head` name"
                )
