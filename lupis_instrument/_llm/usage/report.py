"""Reads a provider's usage report into the fields and the meaning that OpenTelemetry defines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from lupis_instrument._llm.api.dialects import DIALECTS, ROOT_COUNTS

if TYPE_CHECKING:
    from lupis_instrument._llm.api.dialects import Dialect
    from lupis_instrument._llm.api.field_paths import FieldPath

Report = Mapping[str, Any]


class Usage(NamedTuple):
    """The tokens of one call as the provider reported them; None if it reported none.

    Input and output have OpenTelemetry's meaning: `input_tokens` includes tokens that were read
    from or written to the cache, and `output_tokens` includes reasoning. Cached, reasoning, audio
    and image tokens are parts of these two.

    Attributes:
        web_searches: the searches that the provider made for the answer and bills separately.
        audio_seconds: the length of the transcribed audio.
        input_characters: the length of the text to be spoken, from the request: no provider
            reports it.
        billed_input_tokens: the billed input, if the provider reports it separately.
        billed_output_tokens: the billed output, if the provider reports it separately.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    web_searches: int | None = None
    audio_seconds: float | None = None
    input_characters: int | None = None
    billed_input_tokens: int | None = None
    billed_output_tokens: int | None = None


# OpenTelemetry attributes are signed 64-bit integers; no call uses that many tokens.
_MAX_COUNT = 2**63 - 1
_ROOT_NAMES = frozenset(path[0] for path in ROOT_COUNTS)
_MODALITY_FIELDS = {"AUDIO": "audio", "IMAGE": "image"}
_FRACTIONAL_FIELDS = frozenset(("audio_seconds",))
_OPENAI_DIALECTS = frozenset(("openai.chat", "openai.responses"))
# Parts that the OpenAI dialects include in a count but some providers exclude: xAI excludes
# reasoning, Mistral audio, and Anthropic's models behind other APIs exclude cached tokens.
_EXCLUDED_PARTS = (
    (("reasoning_tokens",), "output_tokens"),
    (("input_audio_tokens",), "input_tokens"),
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
)


def read_root_counts(value: Report, counts: dict[str, int]) -> None:
    """Add the counts that are members of an answer itself to `counts`.

    Of several parts of an answer, the largest count is kept: watsonx reports the input with the
    first part and 0 with all others.
    """
    if _ROOT_NAMES.isdisjoint(value):
        return
    for path in ROOT_COUNTS:
        count = _read_count(value, path)
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


def read_usage(report: Report) -> Usage | None:
    """Return the usage in a report of any dialect; None if it holds no token counts."""
    dialect = _find_dialect(report)
    if dialect is None:
        return None
    counts: dict[str, Any] = {}  # by field of `Usage`
    for part in (report, *_find_extra_rounds(report, dialect)):
        _add_fields(part, dialect, counts)
    _add_modalities(report, dialect, counts)
    _normalize_totals(report, dialect, counts)
    return Usage(**counts) if counts else None


def _find_extra_rounds(report: Report, dialect: Dialect) -> list[Report]:
    name, kind = dialect.extra_rounds
    rounds = report.get(name)
    if not isinstance(rounds, list):
        return []
    return [row for row in rounds if isinstance(row, dict) and row.get("type") == kind]


def _add_fields(report: Report, dialect: Dialect, counts: dict[str, float]) -> None:
    """Add the first count that each field's paths lead to."""
    for field, paths in dialect.fields.items():
        for path in paths:
            value: float | None = _read_count(report, path) if path[0] in report else None
            if value is None and field in _FRACTIONAL_FIELDS:
                value = parse_seconds(report.get(path[0]))
            if value is not None:
                counts[field] = counts.get(field, 0) + value
                break


def _add_modalities(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    """Add the counts of audio and images from the dialect's lists of counts by modality."""
    for prefix, name in dialect.modalities.items():
        rows = report.get(name)
        for row in rows if isinstance(rows, list) else ():
            modality = row.get("modality") if isinstance(row, dict) else None
            kind = _MODALITY_FIELDS.get(modality) if isinstance(modality, str) else None
            field = f"{prefix}_{kind}_tokens"
            if kind and field in Usage._fields:
                _add_count(counts, field, _parse_count(row.get("tokenCount")) or 0)


def _normalize_totals(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    """Change input and output to OpenTelemetry's meaning: add the parts that they exclude."""
    extra_input = sum(_read_count(report, path) or 0 for path in dialect.extra_input)
    excluded_input = _sum_fields(counts, dialect.input_excludes)
    _add_count(counts, "input_tokens", extra_input + excluded_input)
    _add_count(counts, "output_tokens", _sum_fields(counts, dialect.output_excludes))
    if dialect.name in _OPENAI_DIALECTS:
        _add_missing_part(counts)


def _add_missing_part(counts: dict[str, int]) -> None:
    """Add a part that the provider excluded from input or output.

    The part is recognised by the provider's own total: it is larger than input and output together
    by exactly this part. Without such a total, input that is smaller than its own cached part must
    exclude that part.
    """
    counted = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    missing = counts.get("total_tokens", counted) - counted
    for parts, field in _EXCLUDED_PARTS:
        if 0 < missing == _sum_fields(counts, parts):
            _add_count(counts, field, missing)
            return
    cached = counts.get("cache_read_tokens", 0)
    if cached > counts.get("input_tokens", cached):
        _add_count(counts, "input_tokens", cached)


def _sum_fields(counts: Mapping[str, int], fields: tuple[str, ...]) -> int:
    return sum(counts.get(field, 0) for field in fields)


def _add_count(counts: dict[str, int], field: str, count: int) -> None:
    """Add to a field; a count of 0 doesn't make a missing field present."""
    if count:
        counts[field] = counts.get(field, 0) + count


def _read_count(value: Any, path: FieldPath) -> int | None:
    """Return the count at `path`, or the sum over all elements if the path leads through a list.

    A step such as ``ttl=1h`` selects the elements of a list whose `ttl` is ``1h``.
    """
    for depth, name in enumerate(path):
        if "=" in name and isinstance(value, list):
            key, _, wanted = name.partition("=")
            value = [row for row in value if isinstance(row, dict) and row.get(key) == wanted]
            continue
        if isinstance(value, list):
            element_counts = [_read_count(element, path[depth:]) for element in value]
            counts = [count for count in element_counts if count is not None]
            return sum(counts) if counts else None
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return _parse_count(value)


def _parse_count(value: Any) -> int | None:
    """Return a count as an integer; None for bool, negative, fractional and infinite numbers."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else None


def parse_seconds(value: Any) -> float | None:
    """Return a duration in seconds, which some APIs write as text; None for anything else."""
    try:
        seconds = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= _MAX_COUNT else None
