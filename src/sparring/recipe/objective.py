"""Reads a recipe's objective from a mapping of names to terms, and writes it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SerializeAsAny, ValidationError, ValidationInfo

from sparring.errors import SparringError
from sparring.objective.objective import Objective
from sparring.objective.term import Term
from sparring.plugins import find_class, name_of
from sparring.recipe.explain import explain, trust_in
from sparring.terms import REGISTRY
from sparring.trust import CodeNotAllowedError, joined


def _read_objective(value: Any, info: ValidationInfo) -> Any:
    """Make terms from a mapping of names to fields. A term's kind is its name unless `kind` says otherwise."""
    if isinstance(value, Objective):
        return value
    if not isinstance(value, Mapping):
        raise SparringError(f"objective takes a mapping of names to terms, got {value!r:.60}")
    terms: dict[str, Term] = {}
    refused: list[CodeNotAllowedError] = []
    for name, given in value.items():
        if given is None:
            continue  # `r1: null` removes an inherited term
        if isinstance(given, Term):
            terms[name] = given
            continue
        if not isinstance(given, Mapping):
            raise SparringError(
                f"objective.{name} takes a mapping of the term's fields ({{}} for the defaults), got {given!r:.60}"
            )
        fields = dict(given)
        try:
            term_class = find_class(str(fields.pop("kind", name)), REGISTRY, "term", Term, trust_in(info))
            terms[name] = term_class(**fields)
        except CodeNotAllowedError as error:
            refused.append(error)
        except ValidationError as error:
            raise SparringError(explain(error, term_class, prefix=f"objective.{name}")) from None
    if refused:
        raise joined(refused)
    return Objective(terms)


def _write_objective(objective: Objective) -> dict[str, Any]:
    written = {}
    for name, term in objective.terms.items():
        kind = name_of(type(term), REGISTRY, "term")
        written[name] = ({} if kind == name else {"kind": kind}) | term.model_dump(mode="json")
    return written


ObjectiveField = Annotated[
    SerializeAsAny[Any], BeforeValidator(_read_objective), PlainSerializer(_write_objective, return_type=dict)
]
