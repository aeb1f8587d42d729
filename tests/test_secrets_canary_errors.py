"""What objects and errors say of themselves holds no key, whoever prints, copies or logs them."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict
from django.utils import timezone

from devices.models import Connection, ThingSpeakChannel
from devices.secrets import SecretUnreadable
from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch
from ingestion.models import PollState
from ingestion.polling import Equipment
from ingestion.resilience.gate import GateUnavailable, RedisGate
from ingestion.resilience.policy import RatePolicy, Timeouts
from ingestion.resilience.transport import (
    CurlTransport,
    HttpRequest,
    RequestsTransport,
    Transport,
    TransportError,
    send_one,
)
from ingestion.rules import adapter_config
from ingestion.sources import ADAPTERS
from ingestion.sources.base import SourceError, Window
from ingestion.work import Worker
from tests.canary import (
    BROKEN,
    READ,
    UNREADABLE,
    Flow,
    assert_clean,
    listen_to_everything,
    running,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flow(redis_socket: str, settings: Any, caplog: pytest.LogCaptureFixture) -> Iterator[Flow]:
    listen_to_everything(caplog)
    with running(redis_socket, settings) as flow:
        yield flow


def channel_of(number: int) -> ThingSpeakChannel:
    return ThingSpeakChannel._base_manager.select_related("connection").get(channel_id=number)


def test_objects_do_not_tell_their_key(flow: Flow) -> None:
    channel = channel_of(1)
    config = adapter_config(channel)
    request = ADAPTERS["thingspeak"].request(config, Window())
    assert request.headers["THINGSPEAKAPIKEY"] == READ
    for thing in (
        channel, channel.read_key, channel.connection, config, request, flow.worker,
        vars(channel), vars(channel.connection), model_to_dict(channel), copy.deepcopy(channel),
        list(ThingSpeakChannel.objects.values()), list(Connection.objects.values_list()),
        ThingSpeakChannel.history.first(), channel._meta.get_field("read_key"),
    ):  # fmt: skip
        assert_clean(f"{thing} {thing!r}", type(thing).__name__)
    for attempt in (pickle.dumps, json.dumps, lambda one: json.dumps(one, cls=DjangoJSONEncoder)):
        for thing in (channel.read_key, model_to_dict(channel)["read_key"]):
            with pytest.raises(TypeError):
                attempt(thing)
    with pytest.raises(TypeError, match="must not leave the process"):
        pickle.dumps(channel)


BAD_REQUESTS: Mapping[str, HttpRequest] = {
    "refused": HttpRequest("http://127.0.0.1:9/", headers={"THINGSPEAKAPIKEY": READ}),
    "private": HttpRequest("http://10.0.0.1/", headers={"THINGSPEAKAPIKEY": READ}),
    "unknown name": HttpRequest("http://nowhere.invalid/", headers={"THINGSPEAKAPIKEY": READ}),
    "line break": HttpRequest("http://127.0.0.1:9/", headers={"THINGSPEAKAPIKEY": f"{READ}\r\nX"}),
    "not latin": HttpRequest("http://127.0.0.1:9/", headers={"THINGSPEAKAPIKEY": f"{READ}水"}),
    "address": HttpRequest(f"ht tp://{READ}@/", headers={"THINGSPEAKAPIKEY": READ}),
    "in the address": HttpRequest(f"http://127.0.0.1:9/?api_key={READ}", {"api_key": READ}),
}


@pytest.mark.parametrize("kind", [RequestsTransport, CurlTransport])
@pytest.mark.parametrize("request_", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_errors_of_sending_do_not_tell_the_key(
    request_: HttpRequest, kind: Callable[..., Transport]
) -> None:
    transport = kind(allowed=["127.0.0.0/8"])
    with pytest.raises(TransportError) as caught:
        send_one(transport, request_, Timeouts(1, 1, 2))
    assert_clean(told(caught.value), "transport error")


def told(error: BaseException) -> str:
    """Everything that a log would say of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


def test_errors_of_configuration_and_of_redis_do_not_tell_the_key(flow: Flow) -> None:
    unreadable = channel_of(UNREADABLE)
    with pytest.raises(SecretUnreadable) as caught:
        adapter_config(unreadable)
    assert_clean(told(caught.value), "unreadable secret")
    assert unreadable.read_key.token not in told(caught.value)
    broken = adapter_config(channel_of(BROKEN))
    with pytest.raises(SourceError) as strange:
        ADAPTERS["thingspeak"].request(broken, Window())
    assert_clean(told(strange.value), "strange key")
    gone = redis.Redis.from_url(f"redis://:{READ}@127.0.0.1:9/0")
    with pytest.raises(GateUnavailable) as away:
        RedisGate(gone).snapshot("h", "g", RatePolicy(limit=1, window_s=1.0))
    assert_clean(told(away.value), "gate")


def test_a_worker_whose_redis_dies_does_not_log_the_key(
    flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[Claim] = []
    gate = flow.worker.equipment.gate
    dispatch(timezone.now, gate, Queues(taken.extend, lambda claims: None))
    assert taken
    gone = redis.Redis.from_url("redis://127.0.0.1:9/0")
    broken = Worker(Equipment(RedisGate(gone), flow.worker.equipment.transport))
    # Without the gate's clock nobody knows his slot: nothing is asked, all is given back.
    assert broken.poll(taken) == 0
    assert not PollState.objects.filter(
        pk__in=[one.pk for one in taken], lease_until__isnull=False
    ).exists()
    assert "Redis cannot be reached" in caplog.text
    assert_clean(caplog.text, "log lines")
