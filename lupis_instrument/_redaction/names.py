"""Which names hide their values: by word, so that ``input_tokens`` is no ``token``."""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COUNTS = _words(
    "count counts counter total usage used limit limits max min budget length len size sum "
    "avg mean rate ratio per cost costs price prices left remaining reset bucket estimate "
    "estimates index position offset logprob logprobs throughput id ids type types kind class"
)
ABOUT = _words(
    "name names count counts url uri endpoint path file filename dir field fields column "
    "param header prefix suffix type kind length len size min max limit policy policies rule "
    "rules strength score expiry expires expiration expired ttl age lifetime timeout created "
    "updated changed rotated rotation version enabled disabled required valid validity "
    "invalid present missing exists status state provider source scheme algorithm algo alg "
    "method issuer audience scope scopes arn domain samesite httponly secure manager engine "
    "format encoding error errors attempts retries usage id ids index reset hint label title "
    "placeholder description exchange variable"
)
# What a language model's own tokens are called: vocabulary and counters, no credentials.
LANGUAGE = _words(
    "eos bos pad padding unk sep cls mask stop special first last per each input output "
    "prompt completion reasoning cached thinking audio image text max min total num number of "
    "start end begin draft accepted predicted vocab byte public"
)


class Name(NamedTuple):
    """One row of the list of names.

    Attributes:
        words: The words, in order, that make a name a secret's.
        after: Words that, when they follow or end the name, make it speak *about* the secret.
        before: Words that, standing directly before, make it another thing altogether.
        numbers: Whether a number under this name is hidden, too.
        value: How far an unquoted value reaches in a text: ``run`` (to a blank or delimiter),
            ``line`` (header fields: to the end of the line) or ``digits`` (groups of digits);
            ``drawn``: as ``run``, but hidden only if it looks drawn at random.
    """

    words: str
    after: frozenset[str] = ABOUT
    before: frozenset[str] = frozenset()
    numbers: bool = True
    value: str = "run"


_KEY_ABOUT = ABOUT - {"reset"}
_CREDENTIAL_ABOUT = ABOUT - {"id"}
_KEEPING = _words("store stores keep keeps hold holds manage manages sync syncs inherit inherits")
_ALLOWED = frozenset({"allow", "with", "include", "omit"})

NAMES: tuple[Name, ...] = (
    Name("password"),
    Name("passwd"),
    Name("passwort"),
    Name("passphrase"),
    Name("passcode"),
    Name("pwd"),
    *(
        Name(f"{owner} pass")
        for owner in sorted(
            _words(
                "app api cloudant database db key sl user smtp mysql pg postgres redis mail ftp "
                "admin root proxy http login"
            )
        )
    ),
    Name("secret", after=_CREDENTIAL_ABOUT),
    Name("secrets", before=_KEEPING),
    Name("token", after=_CREDENTIAL_ABOUT | COUNTS - {"id"}, before=LANGUAGE, numbers=False),
    *(
        Name(f"{kind} token", after=_CREDENTIAL_ABOUT)
        for kind in sorted(_words("access refresh session id auth api bearer security csrf xsrf"))
    ),
    *(
        Name(f"{kind} key", after=_KEY_ABOUT)
        for kind in sorted(
            _words(
                "api private secret access account auth encryption signing master storage "
                "subscription functions service admin consumer license shared host rsa ssh "
                "crypto cipher hmac deploy bearer app application integration server webhook"
            )
        )
    ),
    Name("authorization", value="line"),
    Name("cookie", value="line"),
    Name("cookies", value="line"),
    Name("credential"),
    Name("credentials", before=_ALLOWED),
    Name("creds"),
    Name("pass", numbers=False, value="drawn"),
    Name("pw", numbers=False, value="drawn"),
    Name("jsessionid"),
    Name("phpsessid"),
    Name("ssn", value="digits"),
    Name("social security", value="digits"),
    Name("credit card", value="digits"),
    Name("card number", value="digits"),
    Name("card num", value="digits"),
    Name("cvv", value="digits"),
    Name("cvc", value="digits"),
)

# Namespaces whose names are all defined, by us or by the OpenTelemetry conventions. Elsewhere a
# program may add its own (``user.password``), and no defined name there is a secret's:
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/
DEFINED = ("lupis.", "gen_ai.", "url.", "server.", "error.", "network.", "telemetry.", "otel.")
# What the last word of a header's name makes a secret besides: in other places, these words are
# mostly said of something else.
_HEADER = Name("auth")
_IN_HEADERS = _words("auth authentication csrf xsrf jwt signature assertion")
_HEADERS = ("http.request.header.", "http.response.header.")
# In these, what follows is the name of something else: a header, a field, a variable.
CARRIERS = (
    "http.request.header.", "http.response.header.", "lupis.metadata.", "rpc.request.metadata.",
    "rpc.response.metadata.", "rpc.grpc.request.metadata.", "rpc.grpc.response.metadata.",
    "rpc.connect_rpc.request.metadata.", "rpc.connect_rpc.response.metadata.",
    "process.environment_variable.",
)  # fmt: skip

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
# Written in one word, too, whatever stands before: dbpassword, xapikey.
_ENDINGS = ("password", "passwd", "passphrase", "apikey", "dbpwd", "userpwd")
_LONGEST = 256
_KIND = re.compile(r"[A-Za-z]{2,16}[_.\-]?(?:[Kk]ey|[Tt]oken|KEY|TOKEN)")


def split_words(name: str) -> list[str]:
    """The words of a camelCase, snake_case, kebab-case or dotted name, in lower case."""
    return [word.lower() for word in _WORDS.findall(name)]


# The words that hide their values in the plural, too; "tokens" are mostly a language model's.
PLURAL = _words("password passwd passphrase passcode key")


def _find_header(carrier: str, name: str) -> Name | None:
    words = split_words(name) if carrier in _HEADERS else []
    return _HEADER if words and words[-1] in _IN_HEADERS else None


class NameList:
    """The names that hide their values: the built-in ones and a program's own."""

    def __init__(self, extra: Iterable[str] = ()) -> None:
        own = [Name(" ".join(split_words(name)), before=frozenset()) for name in extra]
        self.rows = NAMES + tuple(row for row in own if row.words)
        self._sequences: dict[tuple[str, ...], Name] = {}
        for row in self.rows:
            words = tuple(row.words.split())
            self._sequences[words] = row
            self._sequences.setdefault(("".join(words),), row)
            if words[-1] in PLURAL:
                # A number under a plural is a count.
                several = row._replace(numbers=False)
                self._sequences.setdefault((*words[:-1], f"{words[-1]}s"), several)
        self._longest = max(map(len, self._sequences))

    def find(self, name: str) -> Name | None:
        """The row by which this name hides its value; None if it doesn't.

        Where several apply, the one that also hides numbers wins: ``access_token`` over ``token``.
        """
        name = name[-_LONGEST:]
        # In mIxEd case, no word shows; in one case, each run of letters is one.
        return self._find(split_words(name)) or self._find(split_words(name.lower()))

    def _find(self, words: list[str]) -> Name | None:
        found = None
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                row = self._row(words, start, end)
                if row and (found is None or row.numbers):
                    found = row
        return found

    def is_name(self, value: str) -> bool:
        """Whether a value only tells a kind of key or token: ``secretKey: api-key``."""
        if not _KIND.fullmatch(value):
            return False
        return tuple(split_words(value)) in self._sequences

    def find_within(self, name: str) -> Name | None:
        """As `find`, where the name may be glued to others: ``fooprivate_keyfoo``."""
        joined = "".join(split_words(name[-_LONGEST:]))
        glued = any(ending in joined for ending in (*_ENDINGS, "privatekey", "secretkey"))
        return self._sequences[("password",)] if glued else None

    def find_attribute(self, name: str) -> Name | None:
        """As `find`, for a span's attribute: names that are defined elsewhere never hide theirs."""
        for carrier in CARRIERS:
            if name.startswith(carrier):
                carried = name[len(carrier) :]
                return self.find(carried) or _find_header(carrier, carried)
        return None if name.startswith(DEFINED) else self.find(name)

    def _row(self, words: list[str], start: int, end: int) -> Name | None:
        row = self._sequences.get(tuple(words[start:end]))
        if row is None and end == start + 1 and words[start].endswith(_ENDINGS):
            row = self._sequences[("password",)]
        if row is None or (start and words[start - 1] in row.before):
            return None
        about = end < len(words) and (words[end] in row.after or words[-1] in row.after)
        return None if about else row
