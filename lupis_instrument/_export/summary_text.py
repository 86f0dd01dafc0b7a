"""Writes the totals of a launch as the text at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

from lupis_instrument._export.console import format_dollars
from lupis_instrument._export.summary import MAX_CHATS
from lupis_instrument._export.terminal import text_width

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.summary import CallTotals, Summary
    from lupis_instrument._export.terminal import Terminal

SHORT_ID_LENGTH = 8
"""Characters of a run's or a trace's id that are shown; `lupis` accepts them."""
_NEXT_COMMAND = "lupis show --last"
_DOCTOR = "`lupis doctor` looks for the reason"
_PREFIX, _INDENT = "lupis: ", "  "
_GAP = 2
_NAME_PART = 0.4
"""The part of the width that long names of models get before a column gives way."""
_MAX_SHOWN_ERRORS, _MAX_SHOWN_HOSTS = 5, 3
_UNKNOWN = "?"


class Destinations(NamedTuple):
    """Where the spans and events of a launch went.

    Attributes:
        account: the counts of delivered, stored and dropped items.
        endpoint: the endpoint, as the user knows it.
        store: the path of the store.
        run_id: the id of the launch; "" without one.
    """

    account: Account
    endpoint: str
    store: str
    run_id: str = ""


class Part(NamedTuple):
    """A piece of text that no line break divides.

    Attributes:
        text: the text.
        style: "", "bold", "dim" or "red".
    """

    text: str
    style: str = ""


Line = Sequence[Part]


class SummaryText:
    """The text of a summary for one terminal."""

    def __init__(
        self,
        totals: Summary,
        destinations: Destinations,
        terminal: Terminal,
        clean: Callable[[str], str],
    ) -> None:
        """Prepare a text.

        Args:
            totals: the totals of all processes.
            destinations: where the items went.
            terminal: the terminal's width and colours.
            clean: removes secrets and control characters from a text.
        """
        self._totals = totals
        self._destinations = destinations
        self._terminal = terminal
        self._clean = clean

    def format_line(self) -> str:
        """Return the totals as one line, for a pipe or the log of a CI service."""
        parts = self._list_totals(" ".join(part.text for part in self._list_errors()))
        run = f"; {self._format_run()}" if self._destinations.run_id else ""
        return self._clean(_PREFIX + " ".join(part.text for part in parts) + run)

    def format_lines(self) -> list[str]:
        """Return the totals as lines that fit the terminal."""
        lines = self._wrap_parts(self._list_totals(), _PREFIX, " " * len(_PREFIX))
        lines += self._wrap_parts(self._list_errors(), f"{_INDENT}errors: ", _INDENT * 2)
        lines += self._list_slowest()
        lines += self._make_table()
        lines += self._wrap_parts(self._list_destinations(), _INDENT, _INDENT * 2)
        if self._destinations.run_id:
            lines.append([Part(_INDENT + self._format_run())])
        return [self._render_line(line) for line in lines]

    def _render_line(self, line: Line) -> str:
        """Return the text of a line; without colours if the filter changes the whole line."""
        plain = "".join(part.text for part in line).rstrip()
        cleaned = self._clean(plain)
        if cleaned != plain:
            return cleaned
        return "".join(self._terminal.style_text(part.text, part.style) for part in line).rstrip()

    def _wrap_parts(self, parts: Sequence[Part], first: str, indent: str) -> list[Line]:
        """Return lines with the parts, and spaces between them.

        Args:
            parts: the parts; without any, there is no line.
            first: the beginning of the first line.
            indent: the beginning of the other lines.
        """
        width = self._terminal.width
        lines: list[list[Part]] = []
        used = width
        for part in parts:
            start = indent if lines else first
            room = width - len(start) if self._terminal.limited else text_width(part.text)
            text = self._terminal.cut_middle(part.text, room)
            if used + 1 + text_width(text) <= width:
                lines[-1].append(Part(" "))
                used += 1
            else:
                lines.append([Part(start)])
                used = len(start)
            lines[-1].append(Part(text, part.style))
            used += text_width(text)
        return list(lines)

    def _list_totals(self, errors: str = "") -> list[Part]:
        """Return the totals of all calls.

        Args:
            errors: the kinds of errors, if they are to follow the number of errors.
        """
        totals = self._totals.all_calls
        if not totals.calls:
            return self._explain_nothing()
        parts = [Part(_format_count(totals.calls, "LLM call"), "bold")]
        if totals.retries:
            kind = "a retry" if totals.retries == 1 else "retries"
            parts.append(Part(f"{totals.retries:,} of them {kind}"))
        if totals.errors:
            kinds = f" ({errors})" if errors else ""
            parts.append(Part(_format_count(totals.errors, "error") + kinds, "red"))
        if totals.read or totals.written or not totals.unknown:
            parts.append(Part(f"{totals.read:,} tokens in{_format_cached(totals)}"))
            parts.append(Part(f"{totals.written:,} out"))
        if totals.unknown:
            parts.append(Part(f"tokens of {_format_count(totals.unknown, 'call')} unknown"))
        parts += [Part(text, "bold") for text in _list_costs(totals)]
        parts.append(Part(f"{totals.seconds:.2f} s"))
        return _add_commas(parts + self._list_chats())

    def _list_chats(self) -> list[Part]:
        """Return the number of conversations if one of them has more than one call."""
        chats = self._totals.chats
        if max(chats.values(), default=0) <= 1:
            return []
        bound = "at least " if len(chats) >= MAX_CHATS else ""
        return [Part(bound + _format_count(len(chats), "conversation"))]

    def _list_errors(self) -> list[Part]:
        """Return the kinds of errors, the most frequent first."""
        errors = sorted(self._totals.errors.items(), key=lambda item: (-item[1], item[0]))
        shown = errors[:_MAX_SHOWN_ERRORS]
        others = self._totals.all_calls.errors - sum(count for _, count in shown)
        shown += [("other", others)] if shown and others > 0 else []
        times = self._terminal.times
        texts = (f"{count:,} {times} {self._clean(kind)}" for kind, count in shown)
        return _add_commas([Part(text, "red") for text in texts])

    def _explain_nothing(self) -> list[Part]:
        """Return the text of a summary without LLM calls: a host may be an unknown gateway."""
        hosts = self._totals.hosts
        if not hosts:
            return [Part("no LLM calls and no HTTP calls:", "bold"), Part(_DOCTOR)]
        # LLM APIs are called by POST.
        names = sorted(hosts, key=lambda host: (-hosts[host][1], -hosts[host][0], host))
        shown = _add_commas([Part(self._clean(name)) for name in names[:_MAX_SHOWN_HOSTS]])
        others = len(names) - len(shown)
        more = [Part(f"and {_format_count(others, 'other host')}")] if others else []
        count = _format_count(sum(calls for calls, _ in hosts.values()), "HTTP call")
        question = "is that a gateway?" if len(names) == 1 else "is one of them a gateway?"
        option = f"--provider-hosts {self._clean(names[0])}=openai"
        parts = [Part("no LLM calls;", "bold"), Part(f"{count} to"), *shown, *more]
        parts[-1] = Part(f"{parts[-1].text}:")
        return [*parts, Part(question), Part(option)]

    def _list_slowest(self) -> list[Line]:
        slowest = self._totals.slowest
        if slowest is None or self._totals.all_calls.calls == 1:
            return []
        seconds, name, trace = slowest
        end = f", {seconds:.2f} s, trace {trace[:SHORT_ID_LENGTH]}"
        start = f"{_INDENT}slowest: "
        width = self._terminal.width - len(start) - len(end)
        return [[Part(start + self._terminal.cut_middle(self._clean(name), width) + end)]]

    def _format_run(self) -> str:
        run = f"run {self._clean(self._destinations.run_id)[:SHORT_ID_LENGTH]}"
        return f"{run}, see: {_NEXT_COMMAND}" if self._destinations.account.stored else run

    def _list_destinations(self) -> list[Part]:
        """Return where the items went; with numbers only if they did not all go to one place."""
        totals, destinations = self._totals, self._destinations
        account = destinations.account
        if not (totals.spans or totals.events or account.created):
            return []
        rows = [
            (account.delivered, f"-> {self._clean(destinations.endpoint)}"),
            (account.stored, f"-> {self._clean(destinations.store)}"),
            *((count, f"dropped: {reason}") for reason, count in account.dropped.items()),
        ]
        rows = [(count, text) for count, text in rows if count]
        items = [_format_count(totals.spans, "span")]
        items += [_format_count(totals.events, "event")] if totals.events else []
        count = ", ".join(items)
        if len(rows) > 1 or account.dropped:
            first, *others = [f"{number:,} {text}" for number, text in rows]
            return _add_commas([Part(f"{count}: {first}"), *map(Part, others)])
        destination = rows[0][1] if rows else f"-> {self._clean(destinations.endpoint)}"
        return [Part(f"{count} {destination}")]

    def _make_table(self) -> list[Line]:
        """Return a heading and a line for each model; the columns fit the terminal."""
        rows = [
            (self._clean(f"{provider} {model}"), totals)
            for (provider, model), totals in sorted(self._totals.by_model.items())
        ]
        if not rows:
            return []
        columns = [column for column in _COLUMNS if column.is_used(self._totals.all_calls)]
        name_width = max(text_width(name) for name, _ in rows)
        room = self._terminal.width - len(_INDENT)
        while (
            _sum_widths(columns, rows) + min(name_width, int(self._terminal.width * _NAME_PART))
            > room
        ):
            last = max(columns, key=lambda column: column.rank)
            if last.rank == 0:
                break
            columns.remove(last)
        name_width = max(min(name_width, room - _sum_widths(columns, rows)), 1)
        heading = [Part(_INDENT + "model".ljust(name_width)[:name_width], "dim")]
        heading += [Part(_pad_cell(column, column.heading, rows), "dim") for column in columns]
        return [heading, *(self._make_row(name, name_width, columns, rows, t) for name, t in rows)]

    def _make_row(
        self,
        name: str,
        name_width: int,
        columns: Sequence[_Column],
        rows: Sequence[tuple[str, CallTotals]],
        totals: CallTotals,
    ) -> Line:
        shown = self._terminal.cut_middle(name, name_width)
        line = [Part(_INDENT + shown + " " * (name_width - text_width(shown)))]
        for column in columns:
            cell = column.format_cell(totals)
            style = "dim" if cell == "0" else column.style
            line.append(Part(_pad_cell(column, cell, rows), style))
        return line


class _Column(NamedTuple):
    """A column of the table of models.

    Attributes:
        heading: the text above the column.
        format_cell: makes the text of a cell.
        is_used: whether the totals of all calls make the column worth showing.
        rank: the columns with the highest rank give way first; columns of rank 0 stay.
        style: the style of cells that are not 0.
    """

    heading: str
    format_cell: Callable[[CallTotals], str]
    is_used: Callable[[CallTotals], Any] = lambda _: True
    rank: int = 0
    style: str = ""


def _pad_cell(column: _Column, text: str, rows: Sequence[tuple[str, CallTotals]]) -> str:
    return text.rjust(_measure_column(column, rows))


def _measure_column(column: _Column, rows: Sequence[tuple[str, CallTotals]]) -> int:
    """Return the width of a column, with the gap before it."""
    texts = [column.heading, *(column.format_cell(totals) for _, totals in rows)]
    return _GAP + max(map(len, texts))


def _sum_widths(columns: Sequence[_Column], rows: Sequence[tuple[str, CallTotals]]) -> int:
    return sum(_measure_column(column, rows) for column in columns)


def _format_tokens(count: int, totals: CallTotals) -> str:
    return f"{count:,}" if count or not totals.unknown else _UNKNOWN


def _format_share(totals: CallTotals) -> str:
    return f"{round(100 * totals.cached / totals.read)} %" if totals.read else "0"


def _format_cost(totals: CallTotals) -> str:
    """Return the known cost, and a question mark if the price of some calls is unknown."""
    known = format_dollars(totals.cost) if totals.cost else ""
    return " + ".join(filter(None, (known, _UNKNOWN if totals.unpriced else ""))) or "0"


_COLUMNS = (
    _Column("calls", lambda totals: f"{totals.calls:,}"),
    _Column("errors", lambda totals: f"{totals.errors:,}", lambda all_: all_.errors, style="red"),
    _Column("in", lambda totals: _format_tokens(totals.read, totals), rank=2),
    _Column("cached", _format_share, lambda all_: all_.cached, rank=4),
    _Column("out", lambda totals: _format_tokens(totals.written, totals), rank=3),
    _Column("cost", _format_cost, lambda all_: all_.cost or all_.unpriced),
    _Column("time", lambda totals: f"{totals.seconds:.2f} s", rank=1),
)


def _add_commas(parts: Sequence[Part]) -> list[Part]:
    """Return the parts of an enumeration, with a comma behind each but the last."""
    return [*(part._replace(text=f"{part.text},") for part in parts[:-1]), *parts[-1:]]


def _format_cached(totals: CallTotals) -> str:
    return f" ({_format_share(totals)} cached)" if totals.cached else ""


def _list_costs(totals: CallTotals) -> list[str]:
    """Return the known cost, and how many calls have no known price; none if all were free."""
    known = [format_dollars(totals.cost)] if totals.cost else []
    return [*known, f"cost of {totals.unpriced:,} unknown"] if totals.unpriced else known


def _format_count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
