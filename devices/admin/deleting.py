"""What deleting a row takes with it, counted: Django's own page would list every single log row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import CASCADE, PROTECT, RESTRICT, Model, Q, QuerySet

SHOWN = 10
"""Rows in the way that are named; a longer list helps nobody."""

Deletion = tuple[list[Any], dict[str, int], set[str], list[Any]]
"""To delete (as text), counts by kind, missing permissions, rows in the way (as text)."""


def deletion_of(rows: Sequence[Model], may_delete: Callable[[Model], bool]) -> Deletion:
    """What Django's confirmation page shows for these rows, all of one model."""
    if not rows:
        return [], {}, set(), []
    meta = rows[0]._meta
    followed = _Followed()
    followed.follow(type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows]))
    denied = any(not may_delete(row) for row in rows)
    return (
        [str(row) for row in rows],
        {str(meta.verbose_name_plural): len(rows), **followed.counts()},
        {str(meta.verbose_name)} if denied else set(),
        followed.in_the_way(),
    )


class _Followed:
    """Everything that points at some rows, by what happens to it when they go."""

    def __init__(self) -> None:
        self._going: dict[type[Model], list[QuerySet[Any]]] = defaultdict(list)
        self._keeping: list[tuple[QuerySet[Any], bool]] = []
        self._seen: set[tuple[type[Model], type[Model], str]] = set()

    def follow(self, rows: QuerySet[Any]) -> None:
        """Go through all relations that lead to `rows`, and on from there."""
        for relation in rows.model._meta.related_objects:
            rule, model = relation.on_delete, relation.related_model
            step = (rows.model, model, relation.field.name)
            if rule not in (CASCADE, PROTECT, RESTRICT) or step in self._seen:
                continue
            self._seen.add(step)
            found = model._default_manager.filter(
                **{f"{relation.field.name}__in": rows.values("pk")}
            )
            if rule is CASCADE:
                self._going[model].append(found)
                self.follow(found)
            else:
                self._keeping.append((found, rule is RESTRICT))

    def counts(self) -> dict[str, int]:
        """How many rows of each kind go too; a row that is reached twice counts once."""
        counted = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(
                self._any_of(model)
            ).count()
            for model in self._going
        }
        return {name: count for name, count in counted.items() if count}

    def in_the_way(self) -> list[str]:
        """Rows that keep the deletion from happening."""
        found: list[str] = []
        for rows, unless_going in self._keeping:
            if unless_going:
                rows = rows.exclude(self._any_of(rows.model))
            found += [str(row) for row in rows[:SHOWN]]
        return found

    def _any_of(self, model: type[Model]) -> Q:
        condition = Q(pk__in=[])
        for rows in self._going[model]:
            condition |= Q(pk__in=rows.values("pk"))
        return condition
