"""Reads a provider's usage report into the fields and the meaning that OpenTelemetry defines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument._llm.api.charged_parts import MODALITIES
from lupis_instrument._llm.api.dialects import DIALECTS, ROOT_COUNTS
from lupis_instrument._llm.api.field_paths import add_counts, parse_count, read_count
from lupis_instrument._llm.usage.charged_parts import (
    PART_NAMES,
    add_counted_parts,
    add_problem,
    list_rounds,
)
from lupis_instrument._llm.usage.usage import Round, Usage

if TYPE_CHECKING:
    from lupis_instrument._llm.api.dialects import Dialect

Report = Mapping[str, Any]

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


def _find_dialect(report: Report) -> Dialect | None:
    """Return the first dialect whose signature matches; None if `report` is no usage report."""
    for dialect in DIALECTS:
        for name in dialect.signature:
            if name in report:
                return dialect
    return None


def read_usage(report: Report, provider: str = "", model: str | None = None) -> Usage | None:
    """Return the usage in a report of any dialect; None if it holds no counts.

    Args:
        report: the provider's report.
        provider: gen_ai.provider.name, if known.
        model: the model that answered, if known.
    """
    dialect = _find_dialect(report)
    if dialect is None:
        return None
    if dialect.text_counts:
        report = {name: _read_text(count) for name, count in report.items()}
    counts: dict[str, Any] = {}  # by field of `Usage`
    add_counts(report, dialect.fields, counts)
    if not PART_NAMES.isdisjoint(report):
        _add_parts(report, dialect, model, counts)
    _add_modalities(report, dialect, counts)
    _normalize_totals(report, dialect, counts, provider)
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
                rounds.append(Round(row.get("model"), usage, kind))
    add_counted_parts(report, counts)
    if rounds:
        counts["rounds"] = tuple(rounds)


def _add_modalities(report: Report, dialect: Dialect, counts: dict[str, Any]) -> None:
    """Add the counts by modality, such as audio, from the dialect's lists."""
    for prefix, name in dialect.modalities.items():
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
    for field, paths in dialect.apart.items():
        _add_count(counts, field, sum(read_count(report, path) or 0 for path in paths))
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
    for parts, field in _EXCLUDED_PARTS:
        if 0 < missing == _sum_fields(counts, parts):
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
    counted = _sum_fields(counts, ("input_tokens", "output_tokens", "input_apart_tokens"))
    return counts.get("total_tokens", counted) - counted


def _check_total(counts: dict[str, Any]) -> None:
    apart = counts.get("input_apart_tokens", 0)
    if "input_tokens" in counts and _find_missing(counts) not in (0, -apart):
        add_problem(counts, "total tokens differ from their sum")


def _sum_fields(counts: Mapping[str, int], fields: tuple[str, ...]) -> int:
    return sum(counts.get(field, 0) for field in fields)


def _add_count(counts: dict[str, int], field: str, count: int) -> None:
    """Add to a field; a count of 0 doesn't make a missing field present."""
    if count:
        counts[field] = counts.get(field, 0) + count


def _read_text(count: Any) -> Any:
    return int(count) if isinstance(count, str) and count.isdecimal() else count
