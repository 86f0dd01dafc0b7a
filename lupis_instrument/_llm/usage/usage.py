"""What a provider's usage report says, read into one meaning: OpenTelemetry's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from lupis_instrument._llm.api.dialects import DIALECTS, ROOT_COUNTS

if TYPE_CHECKING:
    from lupis_instrument._llm.api.dialects import Dialect, Path

Report = Mapping[str, Any]


class Usage(NamedTuple):
    """Tokens of one call as the provider reported them; None where it reported nothing.

    Input and output have OpenTelemetry's meaning: `input_tokens` includes what was read from and
    written to the cache, `output_tokens` includes reasoning; the other fields are parts of these.
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
    """Searches that the provider made for the answer and bills apart."""
    audio_seconds: float | None = None
    """How long the audio was that was transcribed."""
    input_characters: int | None = None
    """How long the text was that was spoken, as it was sent: no provider reports that."""
    billed_input_tokens: int | None = None
    """What of the input is billed, where the provider reports that apart."""
    billed_output_tokens: int | None = None


def read_root_counts(value: Report, counts: dict[str, int]) -> None:
    """Lay the counts beside an answer over those of the answer's earlier parts.

    They only grow: watsonx reports input with the first part and 0 with all others.
    """
    if _ROOT_NAMES.isdisjoint(value):
        return
    for path in ROOT_COUNTS:
        count = _count_at(value, path)
        if count is not None:
            name = ".".join(path)
            counts[name] = max(count, counts.get(name, 0))


_ROOT_NAMES = frozenset(path[0] for path in ROOT_COUNTS)
_MODALITY_FIELDS = {"AUDIO": "audio", "IMAGE": "image"}


def find_dialect(report: Report) -> Dialect | None:
    """The first dialect of which `report` shows a member; None for no usage report at all."""
    for dialect in DIALECTS:
        for name in dialect.signature:
            if name in report:
                return dialect
    return None


def read_usage(report: Report) -> Usage | None:
    """Read a usage report, in whichever dialect; None where it holds no token counts."""
    dialect = find_dialect(report)
    if dialect is None:
        return None
    counts: dict[str, Any] = {}
    for part in (report, *_find_extra_rounds(report, dialect)):
        _count_fields(part, dialect, counts)
    _split_modalities(report, dialect, counts)
    _complete(report, dialect, counts)
    return Usage(**counts) if counts else None


def _find_extra_rounds(report: Report, dialect: Dialect) -> list[Report]:
    name, kind = dialect.extra_rounds
    rounds = report.get(name)
    if not isinstance(rounds, list):
        return []
    return [row for row in rounds if isinstance(row, dict) and row.get("type") == kind]


def _count_fields(report: Report, dialect: Dialect, counts: dict[str, float]) -> None:
    for field, paths in dialect.fields.items():
        for path in paths:
            value: float | None = _count_at(report, path) if path[0] in report else None
            if value is None and field in _FRACTIONAL:
                value = read_seconds(report.get(path[0]))
            if value is not None:
                counts[field] = counts.get(field, 0) + value
                break


def _complete(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    """Bring input and output to OpenTelemetry's meaning."""
    extras = [_count_at(report, path) or 0 for path in dialect.input_extras]
    _add(counts, "input_tokens", sum(extras) + _sum(counts, dialect.adds_input))
    _add(counts, "output_tokens", _sum(counts, dialect.adds_output))
    if dialect.name in _UNSETTLED:
        _settle(counts)


# Attributes are signed 64-bit; no call uses as many tokens as that.
_MOST = 2**63 - 1
_FRACTIONAL = frozenset(("audio_seconds",))
_UNSETTLED = frozenset(("openai.chat", "openai.responses"))
# What some providers leave out although the dialect takes it in: xAI reasoning, Mistral audio,
# Anthropic's models behind other APIs what was cached.
_LEFT_OUT = (
    (("reasoning_tokens",), "output_tokens"),
    (("input_audio_tokens",), "input_tokens"),
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
)


def _settle(counts: dict[str, int]) -> None:
    """Add a part that the provider left out of its whole, where its own total says that it did."""
    whole = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    missing = counts.get("total_tokens", whole) - whole
    for parts, field in _LEFT_OUT:
        if 0 < missing == _sum(counts, parts):
            _add(counts, field, missing)
            return
    cached = counts.get("cache_read_tokens", 0)
    if cached > counts.get("input_tokens", cached):
        _add(counts, "input_tokens", cached)


def _split_modalities(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    for prefix, path in dialect.modalities.items():
        rows = report.get(path)
        for row in rows if isinstance(rows, list) else ():
            modality = row.get("modality") if isinstance(row, dict) else None
            name = _MODALITY_FIELDS.get(modality) if isinstance(modality, str) else None
            field = f"{prefix}_{name}_tokens"
            if name and field in Usage._fields:
                _add(counts, field, _count(row.get("tokenCount")) or 0)


def _sum(counts: Mapping[str, int], fields: tuple[str, ...]) -> int:
    return sum(counts.get(field, 0) for field in fields)


def _add(counts: dict[str, int], field: str, more: int) -> None:
    if more:
        counts[field] = counts.get(field, 0) + more


def _count_at(node: Any, path: Path) -> int | None:
    """The count at `path`; where a list is on the way, the sum over its elements.

    A step such as ``ttl=1h`` leaves of the elements only those that say so.
    """
    for depth, name in enumerate(path):
        if "=" in name and isinstance(node, list):
            key, _, value = name.partition("=")
            node = [row for row in node if isinstance(row, dict) and row.get(key) == value]
            continue
        if isinstance(node, list):
            found = [_count_at(element, path[depth:]) for element in node]
            counts = [count for count in found if count is not None]
            return sum(counts) if counts else None
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return _count(node)


def read_seconds(value: Any) -> float | None:
    """A length of time as a number, which some APIs write as text."""
    try:
        seconds = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= _MOST else None


def _count(value: Any) -> int | None:
    """A count as a number; bool, negative, fractional and endless ones are none."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MOST else None
