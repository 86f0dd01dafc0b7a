"""The OpenTelemetry resource of this process: the attributes that all its spans share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from lupis_instrument._config.config import LupisConfig


def build_resource(config: LupisConfig) -> Resource:
    """Return the resource that `config` and the standard `OTEL_*` variables describe."""
    # Not Resource.create: it searches the entry points of all installed packages.
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.version import __version__ as sdk_version

    attributes: dict[str, Any] = {
        _semconv.TELEMETRY_SDK_LANGUAGE: "python",
        _semconv.TELEMETRY_SDK_NAME: "opentelemetry",
        _semconv.TELEMETRY_SDK_VERSION: sdk_version,
        _semconv.PROCESS_PID: os.getpid(),
        **OTELResourceDetector().detect().attributes,
        _semconv.SERVICE_NAME: config.service_name,
        _semconv.SERVICE_VERSION: config.service_version,
        _semconv.LUPIS_PROJECT_ID: config.project_id,
        **{_semconv.LUPIS_TAG + key: value for key, value in config.tags.items()},
        _semconv.OPENINFERENCE_PROJECT_NAME: config.project_id,
    }
    run_id = os.environ.get(_semconv.ENV_RUN_ID)
    if run_id:
        attributes[_semconv.LUPIS_RUN_ID] = run_id
    return Resource(attributes)
