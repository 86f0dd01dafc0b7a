"""Decides by the words of a name whether its value is a secret.

The value of ``api_key`` is one, the value of ``input_tokens`` is not. A name is split into words.
Its value is redacted if the words of a row of `NAMES` occur in it one after another, unless a
neighbouring word shows that the name only describes a secret (``token_count``,
``password_policy``) or means something else (``eos_token``).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Iterable, NamedTuple


def make_word_set(text: str) -> frozenset[str]:
    """Return the words of a text that blanks separate."""
    return frozenset(text.split())


COUNT_WORDS = make_word_set(
    "count counts counter total usage used limit limits max min budget length len size sum "
    "avg mean rate ratio per cost costs price prices left remaining reset bucket estimate "
    "estimates index position offset logprob logprobs throughput id ids type types kind class"
)
DESCRIBING_WORDS = make_word_set(
    "name names count counts url uri endpoint path file filename dir field fields column "
    "param header prefix suffix type kind length len size min max limit policy policies rule "
    "rules strength score expiry expires expiration expired ttl age lifetime timeout created "
    "updated changed rotated rotation version enabled disabled required valid validity "
    "invalid present missing exists status state provider source scheme algorithm algo alg "
    "method issuer audience scope scopes arn domain samesite httponly secure manager engine "
    "format encoding error errors attempts retries usage id ids index reset hint label title "
    "placeholder description exchange variable"
)
# Words beside the tokens of a language model: its vocabulary and counters, no credentials.
MODEL_TOKEN_WORDS = make_word_set(
    "eos bos pad padding unk sep cls mask stop special first last per each input output "
    "prompt completion reasoning cached thinking audio image text max min total num number of "
    "start end begin draft accepted predicted vocab byte public"
)


class Extent(Enum):
    """How far a value without quotes reaches in a text.

    Attributes:
        RUN: To the next blank or delimiter.
        RANDOM_RUN: The same, but the value is redacted only if it looks random.
        LINE: To the end of the line, as the value of a header field does.
        DIGITS: As far as groups of digits follow one another.
    """

    RUN = "run"
    RANDOM_RUN = "random run"
    LINE = "line"
    DIGITS = "digits"


class NameRule(NamedTuple):
    """One row of the list of names.

    Attributes:
        words: Consecutive words that mark a name as a secret's, separated by blanks.
        except_after: Words that turn the name into a description of the secret where they follow
            directly or end the name.
        except_before: Words that give the name another meaning where they stand directly before.
        hides_numbers: Whether a number under this name is redacted, too.
        extent: How far an unquoted value reaches in a text.
    """

    words: str
    except_after: frozenset[str] = DESCRIBING_WORDS
    except_before: frozenset[str] = frozenset()
    hides_numbers: bool = True
    extent: Extent = Extent.RUN


_KEY_DESCRIBING = DESCRIBING_WORDS - {"reset"}
_CREDENTIAL_DESCRIBING = DESCRIBING_WORDS - {"id"}
_STORAGE_VERBS = make_word_set(
    "store stores keep keeps hold holds manage manages sync syncs inherit inherits"
)
_PERMISSION_VERBS = frozenset({"allow", "with", "include", "omit"})

NAMES: tuple[NameRule, ...] = (
    NameRule("password"),
    NameRule("passwd"),
    NameRule("passwort"),
    NameRule("passphrase"),
    NameRule("passcode"),
    NameRule("pwd"),
    NameRule("pswd"),
    *(
        NameRule(misspelled)
        for misspelled in sorted(
            make_word_set(
                "paasword pasword paswd paswrd passworsd passwrd passwrod psswd psswrd pssword "
                "psword pswrd"
            )
        )
    ),
    *(
        NameRule(f"{owner} pass")
        for owner in sorted(
            make_word_set(
                "app api cloudant database db key sl user smtp mysql pg postgres redis mail ftp "
                "admin root proxy http login"
            )
        )
    ),
    NameRule("secret", except_after=_CREDENTIAL_DESCRIBING),
    NameRule("secrets", except_before=_STORAGE_VERBS),
    NameRule(
        "token",
        except_after=_CREDENTIAL_DESCRIBING | COUNT_WORDS - {"id"},
        except_before=MODEL_TOKEN_WORDS,
        hides_numbers=False,
    ),
    *(
        NameRule(f"{kind} token", except_after=_CREDENTIAL_DESCRIBING)
        for kind in sorted(
            make_word_set("access refresh session id auth api bearer security csrf xsrf")
        )
    ),
    *(
        NameRule(f"{kind} key", except_after=_KEY_DESCRIBING)
        for kind in sorted(
            make_word_set(
                "api private secret access account auth encryption signing master storage "
                "subscription functions service admin consumer license shared host rsa ssh "
                "crypto cipher hmac aes deploy bearer app application integration server webhook "
                "activation"
            )
        )
    ),
    NameRule("authorization", extent=Extent.LINE),
    NameRule("cookie", extent=Extent.LINE),
    NameRule("cookies", extent=Extent.LINE),
    NameRule("credential"),
    NameRule("credentials", except_before=_PERMISSION_VERBS),
    NameRule("creds"),
    NameRule("pass", hides_numbers=False, extent=Extent.RANDOM_RUN),
    NameRule("pw", hides_numbers=False, extent=Extent.RANDOM_RUN),
    NameRule("salt", hides_numbers=False, extent=Extent.RANDOM_RUN),
    NameRule("jsessionid"),
    NameRule("phpsessid"),
    NameRule("ssn", extent=Extent.DIGITS),
    NameRule("social security", extent=Extent.DIGITS),
    NameRule("credit card", extent=Extent.DIGITS),
    NameRule("card number", extent=Extent.DIGITS),
    NameRule("card num", extent=Extent.DIGITS),
    NameRule("cvv", extent=Extent.DIGITS),
    NameRule("cvc", extent=Extent.DIGITS),
)

# Namespaces in which OpenTelemetry's conventions or this package define every name. None of these
# names belongs to a secret. In other namespaces a program may add names (``user.password``):
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/
DEFINED_NAMESPACES = (
    "lupis.", "gen_ai.", "url.", "server.", "error.", "network.", "telemetry.", "otel.",
)  # fmt: skip
HEADER_PREFIXES = ("http.request.header.", "http.response.header.")
# Behind these prefixes stands the name of something else: a header, a field, a variable.
CARRIER_PREFIXES = (
    *HEADER_PREFIXES, "lupis.metadata.", "rpc.request.metadata.", "rpc.response.metadata.",
    "rpc.grpc.request.metadata.", "rpc.grpc.response.metadata.",
    "rpc.connect_rpc.request.metadata.", "rpc.connect_rpc.response.metadata.",
    "process.environment_variable.",
)  # fmt: skip
# Last words that mark a header's value as a secret. Outside of headers they mostly do not.
_SECRET_HEADER_ENDINGS = make_word_set("auth authentication csrf xsrf jwt signature assertion")
_SECRET_HEADER = NameRule("auth")

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
# Endings that count without a separator before them, too: dbpassword, xapikey.
_GLUED_ENDINGS = ("password", "passwd", "passphrase", "apikey", "dbpwd", "userpwd")
_GLUED_WORDS = (*_GLUED_ENDINGS, "privatekey", "secretkey")
# Characters of a name that are looked at, counted from its end.
_MAX_NAME = 256
_KEY_KIND = re.compile(r"[A-Za-z]{2,16}[_.\-]?(?:[Kk]ey|[Tt]oken|KEY|TOKEN)")
# Words whose plural hides its value, too; "tokens" are mostly the units of a language model.
PLURAL_WORDS = make_word_set("password passwd passphrase passcode key")


def split_words(name: str) -> list[str]:
    """Return the words of a camelCase, snake_case, kebab-case or dotted name, in lower case."""
    return [word.lower() for word in _WORDS.findall(name)]


class NameList:
    """The names that hide their values: the built-in names and the names of custom patterns.

    Attributes:
        rules: All rows, the built-in ones first.
    """

    def __init__(self, extra_names: Iterable[str] = ()) -> None:
        extra = [NameRule(" ".join(split_words(name))) for name in extra_names]
        self.rules = NAMES + tuple(rule for rule in extra if rule.words)
        self._by_words: dict[tuple[str, ...], NameRule] = {}
        for rule in self.rules:
            words = tuple(rule.words.split())
            self._by_words[words] = rule
            self._by_words.setdefault(("".join(words),), rule)
            if words[-1] in PLURAL_WORDS:
                # A number under a plural is a count.
                plural = rule._replace(hides_numbers=False)
                self._by_words.setdefault((*words[:-1], f"{words[-1]}s"), plural)
        self._max_words = max(map(len, self._by_words))

    def find_rule(self, name: str) -> NameRule | None:
        """Return the rule by which this name hides its value; None if it hides nothing.

        Where several rules apply, one that also hides numbers wins: ``access_token`` over
        ``token``.
        """
        name = name[-_MAX_NAME:]
        # The case of "mIxEd" letters splits no words, so the name is read in lower case as well:
        # then each run of letters is one word.
        return self._find_by_words(split_words(name)) or self._find_by_words(
            split_words(name.lower())
        )

    def find_attribute_rule(self, name: str) -> NameRule | None:
        """Return the rule for the name of a span attribute; None if it hides nothing.

        Behind a carrier prefix, the carried name decides. A name of a defined namespace hides
        nothing.
        """
        for prefix in CARRIER_PREFIXES:
            if name.startswith(prefix):
                carried = name[len(prefix) :]
                return self.find_rule(carried) or _find_header_rule(prefix, carried)
        return None if name.startswith(DEFINED_NAMESPACES) else self.find_rule(name)

    def find_glued_rule(self, name: str) -> NameRule | None:
        """Return the rule for a name inside a longer word, such as ``fooprivate_keyfoo``."""
        joined = "".join(split_words(name[-_MAX_NAME:]))
        is_glued = any(word in joined for word in _GLUED_WORDS)
        return self._by_words[("password",)] if is_glued else None

    def names_key_kind(self, value: str) -> bool:
        """Return whether a value only names a kind of key or token: ``secretKey: api-key``."""
        if not _KEY_KIND.fullmatch(value):
            return False
        return tuple(split_words(value)) in self._by_words

    def _find_by_words(self, words: list[str]) -> NameRule | None:
        """Look up every sequence of consecutive words; return the strictest rule."""
        best = None
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._max_words, len(words)) + 1):
                rule = self._find_at(words, start, end)
                if rule and (best is None or rule.hides_numbers):
                    best = rule
        return best

    def _find_at(self, words: list[str], start: int, end: int) -> NameRule | None:
        """Return the rule for the words from `start` to `end`, unless a neighbour excludes it."""
        rule = self._by_words.get(tuple(words[start:end]))
        if rule is None and end == start + 1 and words[start].endswith(_GLUED_ENDINGS):
            rule = self._by_words[("password",)]
        if rule is None or (start and words[start - 1] in rule.except_before):
            return None
        describes = end < len(words) and (
            words[end] in rule.except_after or words[-1] in rule.except_after
        )
        return None if describes else rule


def _find_header_rule(prefix: str, name: str) -> NameRule | None:
    """Return the rule for a header that is secret by its last word only."""
    words = split_words(name) if prefix in HEADER_PREFIXES else []
    return _SECRET_HEADER if words and words[-1] in _SECRET_HEADER_ENDINGS else None
