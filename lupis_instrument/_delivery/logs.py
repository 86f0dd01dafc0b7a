"""Events as OTLP log records, for standard endpoints.

https://opentelemetry.io/docs/specs/otel/logs/data-model/#event-name
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord

from lupis_instrument import _names
from lupis_instrument._version import __version__

_NANOSECONDS = 1_000_000


def encode(events: Sequence[Mapping[str, Any]], resource: Mapping[str, Any]) -> bytes:
    """Return the body of an export request that holds `events`."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.extend(_pairs(resource))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = _names.SCOPE
    scope_logs.scope.version = __version__
    scope_logs.log_records.extend(_record(event) for event in events)
    encoded: bytes = request.SerializeToString()
    return encoded


def _record(event: Mapping[str, Any]) -> LogRecord:
    nanoseconds = event["timestamp"] * _NANOSECONDS
    record = LogRecord(
        time_unix_nano=nanoseconds,
        observed_time_unix_nano=nanoseconds,
        severity_number=SEVERITY_NUMBER_INFO,
    )
    # Records have a field for the name since protocol 1.5; before, it was an attribute.
    if "event_name" in LogRecord.DESCRIPTOR.fields_by_name:
        record.event_name = event["name"]
    metadata = {_names.LUPIS_METADATA + key: item for key, item in event["metadata"].items()}
    chat_id = event["metadata"].get("chat_id")
    chat = {_names.LUPIS_CHAT_ID: chat_id} if chat_id is not None else {}
    attributes = {**event["properties"], **metadata, **chat, "event.name": event["name"]}
    record.attributes.extend(_pairs(attributes))
    return record


def _pairs(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
    return AnyValue() if value is None else AnyValue(string_value=str(value))
