"""The parts of the runtime, made from the settings."""

import json
import os

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument import LupisConfig
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._export.accounting import Account
from lupis_instrument._runtime import assembly

SECRET = "sk-1234567890abcdef1234567890abcdef"


@pytest.fixture
def config(tmp_path):
    """Settings with a data folder of their own."""
    return LupisConfig("shop", data_dir=str(tmp_path / "data"))


def test_the_redactor_follows_the_settings():
    """Mode, custom patterns and hash key reach it."""
    config = LupisConfig(
        "shop", redaction_mode="remove", sensitive_data_patterns=["ticket"], hash_key="k"
    )
    redactor = assembly.make_redactor(config)
    assert "ticket=[REDACTED]" == redactor.redact_text("ticket=4711-abc")


def test_there_is_no_redactor_where_filtering_is_off():
    """LUPIS_FILTER_SENSITIVE_DATA=false."""
    assert assembly.make_redactor(LupisConfig("shop", filter_sensitive_data=False)) is None


def test_there_are_no_own_prices_without_a_file(config):
    """The catalog alone prices the calls."""
    assert assembly.read_own_prices(config) is None


def test_own_prices_are_read_from_their_file(tmp_path):
    """LUPIS_PRICES_FILE names it."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"models": {"mine": {"input_mtok": 1, "output_mtok": 2}}}))
    prices = assembly.read_own_prices(LupisConfig("shop", prices_file=str(path)))
    assert prices is not None
    assert prices.find_prices("openai", ["mine"]) is not None


def test_derived_chat_ids_use_the_hash_key():
    """Two machines with the same key derive the same ids; the key is read when first needed."""
    conversations = [
        assembly.make_conversations(LupisConfig("shop", hash_key=key)) for key in ("a", "a", "b")
    ]
    keys = [process_conversations._get_key() for process_conversations in conversations]
    assert [b"a", b"a", b"b"] == keys


def test_the_variables_give_the_first_conversation():
    """LUPIS_CHAT_ID and the ids of the user hold unless the code sets others."""
    resolved = resolve_settings(
        {"LUPIS_CHAT_ID": "trip", "LUPIS_USER_ID": "u", "LUPIS_SESSION_ID": "s"},
        None,
        launched=True,
    )
    conversation = assembly.make_conversation(resolved.values)
    assert ("trip", "u", None, "s") == conversation[:4]
    assert "environment" == conversation.source


def test_the_store_learns_which_process_wrote(config, monkeypatch):
    """Project and run id are redacted before they are stored."""
    monkeypatch.setenv("LUPIS_RUN_ID", "run-1")
    monkeypatch.setenv("LUPIS_LEADER", "7:f")
    process = assembly.describe_process(config, str.upper)
    assert ("SHOP", "RUN-1", os.getpid(), "7:f") == tuple(process)[:4]


def test_a_process_outside_of_a_launch_has_no_run_id(config, monkeypatch):
    """LupisSDK.init works without lupis-run."""
    monkeypatch.delenv("LUPIS_RUN_ID", raising=False)
    assert None is assembly.describe_process(config, str).run


def test_a_delivery_gets_redacted_resource_and_settings(tmp_path):
    """A secret in a resource attribute does not reach the encoder."""
    environ = {"LUPIS_DATA_DIR": str(tmp_path / "data"), "LUPIS_EXPORTER": "local"}
    resolved = resolve_settings(environ, None, launched=True)
    delivery = assembly.make_delivery(
        resolved,
        assembly.make_redactor(resolved.config),
        Resource({"service.name": f"key {SECRET}"}),
        Account(),
    )
    delivery.exporter.export_events(
        [{"name": "e", "timestamp": 1, "properties": {}, "metadata": {}}]
    )
    assert delivery.stop(5)
    stored = (tmp_path / "data" / "store.db").read_bytes()
    delivery.store.database.close()
    assert SECRET.encode() not in stored


def test_a_line_before_the_settings_are_read_is_redacted():
    """A wrong value may hold a key."""
    assert SECRET not in assembly.remove_secrets(f"LUPIS_OTLP_ENDPOINT={SECRET}: no URL")
