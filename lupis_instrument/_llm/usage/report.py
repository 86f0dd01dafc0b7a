"""Reads a provider's usage report into the fields and the meaning that OpenTelemetry defines."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from lupis_instrument._llm.api.charged_parts import DETAIL_KINDS, DETAIL_MEMBERS, MODALITIES
from lupis_instrument._llm.api.dialects import DIALECTS, ROOT_COUNTS
from lupis_instrument._llm.api.field_paths import MAX_COUNT, add_counts, parse_count, read_count
from lupis_instrument._llm.usage.charged_parts import (
    PART_NAMES,
    add_counted_parts,
    add_problem,
    list_rounds,
)
from lupis_instrument._llm.usage.usage import Round, Usage

if TYPE_CHECKING:
    from lupis_instrument._llm.api.dialects import Dialect
    from lupis_instrument._llm.api.field_paths import FieldPath

Report = Mapping[str, Any]

_MAX_MEMBERS, _MAX_NAMES = 64, 2048
"""The members of a report whose plan is kept, and the length of all their names."""
_MAX_TEXT = 256
_ROOT_NAMES = frozenset(path[0] for path in ROOT_COUNTS)
_OPENAI_DIALECTS = frozenset(("openai.chat", "openai.responses"))
# Parts that the OpenAI dialects include in a count but some providers exclude: xAI excludes
# reasoning, Mistral audio, and Anthropic's models behind other APIs exclude cached tokens.
_EXCLUDED_PARTS = (
    (("reasoning_tokens",), "output_tokens"),
    (("input_audio_tokens",), "input_tokens"),
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
)
# ai.google.dev/gemini-api/docs/openai: its total includes thoughts that no other count includes.
_UNLISTED_REASONING = frozenset(("gcp.gemini", "gcp.vertex_ai"))


def read_root_counts(value: Report, counts: dict[str, int]) -> None:
    """Add the counts that are members of an answer itself to `counts`.

    Of several parts of an answer, the largest count is kept: watsonx reports the input with the
    first part and 0 with all others.
    """
    if _ROOT_NAMES.isdisjoint(value):
        return
    for path in ROOT_COUNTS:
        count = read_count(value, path)
        if count is not None:
            name = ".".join(path)
            counts[name] = max(count, counts.get(name, 0))


class _Plan(NamedTuple):
    """How to read the reports whose members have the same names.

    Attributes:
        dialect: the first dialect whose signature matches.
        fields: the fields of `Usage` that the report may give, each with its paths.
        has_parts: whether there may be parts that are charged beside the tokens.
        details: the members that split counts by kind.
    """

    dialect: Dialect
    fields: Mapping[str, tuple[FieldPath, ...]]
    has_parts: bool
    details: tuple[str, ...]


def _make_plan(names: tuple[str, ...]) -> _Plan | None:
    """Return the plan for a report with these members; None if it is no usage report."""
    for dialect in DIALECTS:
        if not set(dialect.signature).isdisjoint(names):
            break
    else:
        return None
    paths = {
        field: tuple(path for path in paths if path[0] in names)
        for field, paths in dialect.fields.items()
    }
    return _Plan(
        dialect,
        {field: present for field, present in paths.items() if present},
        not PART_NAMES.isdisjoint(names) or any("tool" in name.lower() for name in names),
        tuple(name for name in DETAIL_MEMBERS if name in names),
    )


# A provider's reports mostly have the same members.
_find_plan = lru_cache(maxsize=256)(_make_plan)


def read_usage(report: Report, provider: str = "", model: str | None = None) -> Usage | None:
    """Return the usage in a report of any dialect; None if it holds no counts.

    Args:
        report: the provider's report.
        provider: gen_ai.provider.name, if known.
        model: the model that answered, if known.
    """
    names = tuple(report)
    is_short = len(names) <= _MAX_MEMBERS and len("".join(names)) <= _MAX_NAMES
    plan = _find_plan(names) if is_short else _make_plan(names)
    if plan is None:
        return None
    dialect = plan.dialect
    if dialect.text_counts:
        report = {name: _read_text(count) for name, count in report.items()}
    counts: dict[str, Any] = {}  # by field of `Usage`
    add_counts(report, plan.fields, counts)
    if plan.has_parts:
        _add_parts(report, dialect, model, counts)
    _add_modalities(report, dialect, counts)
    _normalize_totals(report, dialect, counts, provider)
    for member in plan.details:
        _check_details(report[member], counts)
    return Usage(**counts) if counts else None


def _add_parts(report: Report, dialect: Dialect, model: str | None, counts: dict[str, Any]) -> None:
    """Add the parts that are charged beside the tokens of the call's own model."""
    rounds = []
    for kind, row in list_rounds(report, model, counts):
        if kind == "own":
            add_counts(row, dialect.fields, counts)
        else:
            usage = read_usage(row)
            if usage is not None:
                name = row.get("model")
                is_name = isinstance(name, str) and 0 < len(name) <= _MAX_TEXT
                rounds.append(Round(name if is_name else None, usage, kind))
    add_counted_parts(report, counts)
    if rounds:
        counts["rounds"] = tuple(rounds)


def _add_modalities(report: Report, dialect: Dialect, counts: dict[str, Any]) -> None:
    """Add the counts by modality, such as audio, from the dialect's lists."""
    for name, prefix in dialect.modalities.items():
        rows = report.get(name)
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict):
                continue
            kind = MODALITIES.get(str(row.get("modality")).upper())
            count = parse_count(row.get("tokenCount", row.get("tokens"))) or 0
            if kind is None and count:
                add_problem(counts, "unknown modality")
            field = f"{prefix}_{kind}_tokens"
            if kind and field in Usage._fields:
                _add_count(counts, field, count)


def _normalize_totals(
    report: Report, dialect: Dialect, counts: dict[str, Any], provider: str
) -> None:
    """Change input and output to OpenTelemetry's meaning: add the parts that they exclude."""
    extra_input = sum(read_count(report, path) or 0 for path in dialect.extra_input)
    excluded_input = _sum_fields(counts, dialect.input_excludes)
    _add_count(counts, "input_tokens", extra_input + excluded_input)
    _add_count(counts, "output_tokens", _sum_fields(counts, dialect.output_excludes))
    if dialect.name in _OPENAI_DIALECTS:
        _add_missing_part(counts)
        _add_reasoning(counts, provider)
    _check_total(counts)


def _add_missing_part(counts: dict[str, int]) -> None:
    """Add a part that the provider excluded from input or output.

    The part is recognised by the provider's own total: it is larger than input and output together
    by exactly this part. Without such a total, input that is smaller than its own cached part must
    exclude that part.
    """
    missing = _find_missing(counts)
    for parts, field in _EXCLUDED_PARTS if missing > 0 else ():
        if missing == _sum_fields(counts, parts):
            _add_count(counts, field, missing)
            return
    cached = counts.get("cache_read_tokens", 0)
    if cached > counts.get("input_tokens", cached):
        _add_count(counts, "input_tokens", cached)


def _add_reasoning(counts: dict[str, Any], provider: str) -> None:
    """Add reasoning that the output excludes, though the total does not show it."""
    reasoning = counts.get("reasoning_tokens", 0)
    missing = _find_missing(counts)
    if "citation_tokens" in counts:  # docs.perplexity.ai: deep research counts four kinds apart
        _add_count(counts, "output_apart_tokens", reasoning + counts["citation_tokens"])
    elif reasoning > counts.get("output_tokens", reasoning):
        _add_count(counts, "output_tokens", reasoning)
        add_problem(counts, "reasoning exceeds output")
    elif not reasoning and missing > 0 and provider in _UNLISTED_REASONING:
        _add_count(counts, "reasoning_tokens", missing)
        _add_count(counts, "output_tokens", missing)


def _find_missing(counts: Mapping[str, int]) -> int:
    """Return the number of tokens that are in the provider's total only."""
    total = counts.get("total_tokens")
    if total is None:
        return 0
    apart = counts.get("input_apart_tokens", 0)
    return total - counts.get("input_tokens", 0) - counts.get("output_tokens", 0) - apart


def _check_details(details: Any, counts: dict[str, Any]) -> None:
    """Add a problem if a part of a count is of an unknown kind, which may have its own price."""
    for name, count in details.items() if isinstance(details, dict) else ():
        if count and name not in DETAIL_KINDS and name.endswith("_tokens") and parse_count(count):
            add_problem(counts, "unknown modality")


def _check_total(counts: dict[str, Any]) -> None:
    apart = counts.get("input_apart_tokens", 0)
    if "input_tokens" in counts and _find_missing(counts) not in (0, -apart):
        add_problem(counts, "total tokens differ from their sum")
    if "output_apart_tokens" in counts:
        return
    if counts.get("reasoning_tokens", 0) > counts.get("output_tokens", MAX_COUNT):
        add_problem(counts, "reasoning exceeds output")


def _sum_fields(counts: Mapping[str, int], fields: tuple[str, ...]) -> int:
    return sum(counts.get(field, 0) for field in fields)


def _add_count(counts: dict[str, int], field: str, count: int) -> None:
    """Add to a field; a count of 0 doesn't make a missing field present."""
    if count:
        counts[field] = counts.get(field, 0) + count


def _read_text(count: Any) -> Any:
    return int(count) if isinstance(count, str) and count.isdecimal() else count
