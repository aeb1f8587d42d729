"""The API's slice for ingestion: how each account is doing, scoped like the accounts themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from devices.openapi import Schema
from ingestion.observe import live
from ingestion.observe.counts import Counts
from ingestion.observe.scope import seen_by
from ingestion.observe.snapshot import Account
from ingestion.observe.status import Code, Status, uptime_s
from ingestion.resilience.gate import CircuitState, Snapshot


class IssueSerializer(serializers.Serializer[Any]):
    """One thing that is wrong."""

    code = serializers.ChoiceField(choices=[one.value for one in Code])
    text = serializers.CharField(help_text="What is wrong and what to do, for people.")
    since = serializers.DateTimeField(allow_null=True, help_text="Null where nobody knows.")


class WindowSerializer(serializers.Serializer[Any]):
    """Requests of some time. Polls that our own budget or breaker refused are no requests."""

    requests = serializers.IntegerField()
    answered = serializers.IntegerField(help_text="Also those that brought no entries.")
    success_rate = serializers.FloatField(allow_null=True, help_text="0 to 1; null: no requests.")


class WindowsSerializer(serializers.Serializer[Any]):
    """The last hour (to the minute), day (to the minute) and 30 days (to the hour)."""

    hour = WindowSerializer()
    day = WindowSerializer()
    month = WindowSerializer()


class LatencySerializer(serializers.Serializer[Any]):
    """How long answers took in the last hour, in milliseconds, within 5 %; null: no answer."""

    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class BreakerStateField(serializers.ChoiceField):
    """State of a breaker."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[one.value for one in CircuitState], **kwargs)


class IngestionStatusSerializer(serializers.Serializer[Any]):
    """How one account is doing. What the gate alone knows is null while Redis does not answer."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    community = serializers.CharField(
        allow_null=True, help_text="Slug; null: shared by several communities."
    )
    status = serializers.ChoiceField(
        choices=[Status.HEALTHY.value, Status.DEGRADED.value],
        help_text="degraded: by the issues below. An idle account has none.",
    )
    idle = serializers.BooleanField(
        help_text="Nothing is asked of it (switched off, without sources, new): nothing to judge."
    )
    issues = IssueSerializer(many=True)
    since = serializers.DateTimeField(allow_null=True, help_text="Since when the status is so.")
    tokens_available = serializers.IntegerField(
        allow_null=True,
        help_text="Requests that could start at this moment: 0 or 1, as slots are evenly spaced.",
    )
    capacity = serializers.IntegerField(help_text="Requests allowed in `window_seconds`.")
    window_seconds = serializers.IntegerField()
    wait_time_seconds = serializers.FloatField(
        allow_null=True, help_text="Until a request may start, by budget and breaker; 0: now."
    )
    remaining_quota = serializers.IntegerField(
        help_text="`capacity` less the requests that began within the last `window_seconds`."
    )
    rate_share = serializers.FloatField(
        allow_null=True, help_text="Present speed as a share of the full one, lowered by a 429."
    )
    budget_reason = serializers.CharField(
        allow_null=True, help_text="Why the budget stands where it stands, for people."
    )
    circuit_open = serializers.BooleanField(
        allow_null=True, help_text="true: the provider is left in peace, or one probe is tried."
    )
    circuit = BreakerStateField(allow_null=True)
    failure_count = serializers.IntegerField(
        allow_null=True, help_text="Failures in a row that the breaker has counted towards opening."
    )
    uptime_seconds = serializers.FloatField(
        help_text="Since the last outage ended, without one since the first answer; 0 during one."
    )
    last_successful_fetch = serializers.DateTimeField(allow_null=True)
    total_fetches = serializers.IntegerField(help_text="Requests of the last 24 hours.")
    failed_fetches = serializers.IntegerField(help_text="Those of them that were not answered.")
    consecutive_failures = serializers.IntegerField(
        help_text="Live polls that failed since the last one that was answered."
    )
    success_rate = serializers.FloatField(
        allow_null=True, help_text="0 to 1, over the last 24 hours; null: no requests."
    )
    windows = WindowsSerializer()
    latency_ms = LatencySerializer()
    sources = serializers.IntegerField(help_text="Sources that are asked through the account.")
    sources_due = serializers.IntegerField(help_text="Those that wait for their turn.")
    open_gaps = serializers.IntegerField()


def represent(account: Account, now: datetime) -> dict[str, Any]:
    """One account as the API tells it."""
    facts, health = account.judged, account.health
    return {
        "id": account.pk,
        "name": account.name,
        "community": account.community_slug,
        "status": Status.DEGRADED if health.status is Status.DEGRADED else Status.HEALTHY,
        "idle": health.status is Status.IDLE,
        "issues": health.issues,
        "since": health.since,
        **_gate(account),
        "capacity": account.limit,
        "window_seconds": account.window_s,
        "remaining_quota": max(account.limit - account.in_window, 0),
        "uptime_seconds": round(uptime_s(facts, now), 1),
        "last_successful_fetch": facts.last_success_at,
        "total_fetches": account.day.requests,
        "failed_fetches": account.day.failed,
        "consecutive_failures": facts.consecutive_failures,
        "success_rate": account.day.success_rate,
        "windows": {
            name: _window(counts)
            for name, counts in (
                ("hour", account.hour),
                ("day", account.day),
                ("month", account.month),
            )
        },
        "latency_ms": {
            f"p{share:.0f}": account.hour.percentile_ms(share / 100) for share in (50, 95, 99)
        },
        "sources": account.sources,
        "sources_due": sum(one.due for one in account.groups),
        "open_gaps": account.gaps.backlog.gaps,
    }


def _window(counts: Counts) -> dict[str, Any]:
    return {
        "requests": counts.requests,
        "answered": counts.answered,
        "success_rate": counts.success_rate,
    }


_OF_THE_GATE = (
    "tokens_available", "wait_time_seconds", "rate_share", "budget_reason", "circuit_open",
    "circuit", "failure_count",
)  # fmt: skip


def _gate(account: Account) -> dict[str, Any]:
    gate, explained = account.gate, account.explained
    if gate is None or explained is None:
        return dict.fromkeys(_OF_THE_GATE)
    wait = wait_s(gate)
    return {
        "tokens_available": 0 if wait > 0 else 1,
        "wait_time_seconds": round(wait, 3),
        "rate_share": round(gate.budget.rate, 4),
        "budget_reason": explained.budget.text,
        "circuit_open": gate.circuit is not CircuitState.CLOSED,
        "circuit": gate.circuit,
        "failure_count": gate.failures_in_a_row,
    }


def wait_s(gate: Snapshot) -> float:
    """Seconds until budget and breaker let a request start."""
    return max(gate.budget.next_slot_in_s, gate.wait_s)


class StatusView(GenericAPIView[Any]):
    """Base: knows no parameters but those of paging."""

    schema = Schema()
    serializer_class = IngestionStatusSerializer
    filter_backends: list[Any] = []
    known: frozenset[str] = frozenset({"format"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse unknown parameters, after the caller was authenticated."""
        super().initial(request, *args, **kwargs)
        unknown = sorted(set(request.query_params) - self.known)
        if unknown:
            raise ValidationError(dict.fromkeys(unknown, "There is no such parameter here."))

    def accounts(self, now: datetime) -> tuple[Account, ...]:
        """The accounts that the caller may see."""
        return seen_by(self.request.user, live.current(now)).accounts


class StatusList(StatusView):
    """How each account of your communities is doing; shared ones are the administrator's."""

    known = frozenset({"format", "page", "page_size"})

    @extend_schema(
        responses=IngestionStatusSerializer(many=True), operation_id="ingestion_status_list"
    )
    def get(self, request: Request) -> Response:
        """All accounts that the caller may see, by name."""
        now = timezone.now()
        page = self.paginate_queryset(self.accounts(now)) or ()
        rows = [represent(one, now) for one in page]
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)


class StatusDetail(StatusView):
    """How one account is doing."""

    @extend_schema(operation_id="ingestion_status_retrieve")
    def get(self, request: Request, pk: int) -> Response:
        """One account that the caller may see."""
        now = timezone.now()
        for one in self.accounts(now):
            if one.pk == pk:
                return Response(self.get_serializer(represent(one, now)).data)
        raise Http404


urlpatterns = [
    path("ingestion/status/", StatusList.as_view(), name="ingestion-status"),
    path("ingestion/status/<int:pk>/", StatusDetail.as_view(), name="ingestion-status-one"),
]
