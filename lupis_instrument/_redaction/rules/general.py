"""Rules for secrets of no particular service: HTTP schemes, key formats, URLs, card numbers."""

from __future__ import annotations

import base64

from lupis_instrument._redaction.checks import (
    has_digit,
    is_credential,
    is_encoded_jwk,
    is_encoded_pem,
    is_generated,
    is_private_der,
    passes_luhn,
)
from lupis_instrument._redaction.rules.rule import (
    ALNUM,
    HEX,
    LOWER,
    NOT_IN_NAME,
    UUID,
    Rule,
    key_rule,
    match_prefix,
)

# Words behind "key" with which a name describes the key.
_KEY_DESCRIPTION = (
    "(?:ids?|names?|hash|digest|sha[0-9]{1,3}|md5|checksum|etag|fingerprint|thumbprint|prefix|suffix|"
    "types?|kinds?|path|file|url|uri|arn|ver|version|ref|hint|label|counts?|index|size|length|schema|"
    "column|values?)(?![a-z0-9])"
)

GENERAL_RULES: tuple[Rule, ...] = (
    Rule(
        "bearer",
        ("bearer", "!bearer+"),
        (r"bearer(?<![a-z0-9]bearer)(?:\s|\+|%20|:){1,4}[a-z0-9_\-.~+/]{6,}={0,2}",),
        "HTTP bearer tokens: RFC 6750.",
        (f"Bearer {ALNUM[:20]}", f"authorization=bearer+{HEX[:32]}"),
        ('Bearer realm="api"', "bearer of good news", "Bearer authentication is required"),
        is_credential,
        lowercase=True,
    ),
    Rule(
        "basic",
        ("basic", "!basic+"),
        (r"basic(?<![a-z0-9]basic)(?:\s|\+|%20){1,8}[a-z0-9+/_\-]{8,}={0,2}(?![a-z0-9])",),
        "HTTP basic credentials, user and password in base64: RFC 7617.",
        ("Basic dXNlcjpzM2NyZXQ=", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ('Basic realm="api"', "basic authentication", "Basic understanding of things"),
        is_credential,
        lowercase=True,
    ),
    Rule(
        "negotiate",
        ("negotiate", "!negotiate+"),
        (
            r"negotiate(?<![a-z0-9]negotiate)(?:\s|\+|%20){1,4}(?P<secret>[a-z0-9+/]{16,}={0,2})(?![a-z0-9])",
        ),
        "Kerberos and NTLM tokens of servers and clients: RFC 4559.",
        (f"WWW-Authenticate: Negotiate {ALNUM[:60]}==", f"negotiate+{HEX[:40]}"),
        ("WWW-Authenticate: Negotiate", "to negotiate internationalization"),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "json-web-token",
        ("4 eyj",),
        (
            match_prefix("eyJ", r"A-Za-z0-9_\-")
            + r"[A-Za-z0-9_\-]{8,}\.(?:eyJ[A-Za-z0-9_\-]{16,}(?![A-Za-z0-9_\-.])"
            + r"|[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]+){0,2})",
        ),
        "JSON Web Tokens, signed, encrypted, or cut off before the signature: RFC 7519, RFC 7516.",
        (
            f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{ALNUM[:43]}",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0",
        ),
        ("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.eyJz"),
    ),
    Rule(
        "json-web-token-like",
        ("!.ey",),
        (
            match_prefix("ey", NOT_IN_NAME)
            + r"[A-Za-z0-9_\-]{17,}\.ey[A-Za-z0-9_\-]{17,}(?:\.[A-Za-z0-9_\-]{0,1024}={0,2})?",
        ),
        "JSON Web Tokens whose JSON begins with a blank or a line break.",
        (f"ewogICJhbGciOiAiSFMyNTYi.eyAic3ViIjogIjEyMzQi.{ALNUM[:43]}".replace("ew", "ey", 1),),
        ("eye.eyebrow", f"key{ALNUM[:20]}.ey{ALNUM[:20]}"),
        has_digit,
    ),
    key_rule(
        "json-web-token-base64",
        "JSON Web Tokens that are encoded in base64 again",
        "ZXlK",
        r"[A-Za-z0-9+/]{40,}={0,2}",
        ALNUM[:80],
    ),
    Rule(
        "json-web-key",
        ("!kty",),
        (r"\"(?:d|k|p|q|dp|dq|qi)\\?\"\s{0,4}:\s{0,4}\\?\"(?P<secret>[A-Za-z0-9_\-]{16,})\\?\"",),
        "The private members of JSON Web Keys: RFC 7518, section 6.",
        (f'{{"kty":"EC","crv":"P-256","d":"{ALNUM[:43]}"}}',),
        (f'{{"kty":"EC","crv":"P-256","x":"{ALNUM[:43]}"}}',),
    ),
    Rule(
        "json-web-key-base64",
        ("+imt0esi", "+jrdhki", "+ia3r5i"),
        tuple(
            rf"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{{0,16384}}?{encoded}[A-Za-z0-9+/_\-]{{16,}}={{0,2}}"
            for encoded in ("Imt0eSI", "JrdHki", "ia3R5I")
        ),
        "JSON Web Keys in base64, with a private member: RFC 7518, section 6.",
        tuple(
            base64.b64encode(f'{start}"kty":"EC","d":"{ALNUM[:43]}"}}'.encode()).decode()
            for start in ("{", " {", "[ {")
        ),
        (base64.b64encode(f'{{"kty":"EC","x":"{ALNUM[:43]}"}}'.encode()).decode(),),
        is_encoded_jwk,
    ),
    key_rule(
        "paseto",
        "PASETO tokens",
        " ".join(f"v{n}.{p}." for n in "1234" for p in ("local", "public")),
        r"[A-Za-z0-9_\-]{20,}(?:\.[A-Za-z0-9_\-]+)?",
        ALNUM[:80],
    ),
    key_rule(
        "paserk",
        "PASERK keys",
        " ".join(
            f"k{n}.{p}."
            for n in "1234"
            for p in (
                "local",
                "secret",
                "local-wrap.pie",
                "secret-wrap.pie",
                "local-pw",
                "secret-pw",
            )
        ),
        r"[A-Za-z0-9_\-]{16,}",
        ALNUM[:43],
    ),
    Rule(
        "der-private-key",
        ("16 mii", "16 mig", "16 mhcc", "16 mhqc", "16 mc4c"),
        tuple(
            match_prefix(start) + r"[A-Za-z0-9+/]{56,}={0,2}"
            r"(?:(?:\\n|\s){1,32}[A-Za-z0-9+/]{32,}={0,2}){0,256}"
            r"(?:(?:\\n|\s){1,32}[A-Za-z0-9+/]{1,31}={1,2}(?![A-Za-z0-9+/=]))?"
            for start in ("MII", "MIG", "MHcC", "MHQC", "MC4C")
        ),
        "Private keys in DER, in base64: RFC 5958, RFC 8017, RFC 5915.",
        (
            f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{ALNUM[:100]}",
            f"MC4CAQAwBQYDK2VwBCIEI{ALNUM[:43]}=",
        ),
        (f"MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkq{ALNUM[:100]}", f"MIIB{ALNUM[:100]}"),
        is_private_der,
    ),
    key_rule("ntlm", "NTLM messages", "TlRMTVNTUAA", r"[A-Za-z0-9+/_\-]{20,}={0,2}", ALNUM[:60]),
    Rule(
        "private-key",
        ("private key", "!private+key"),
        (
            (
                r"(?:-{4,5} ?)?BEGIN[ +](?:[A-Z0-9]{1,12}[ +]){0,4}PRIVATE[ +]KEY(?:[ +]BLOCK)?"
                r"(?: ?-{4,5})?"
                r"(?:(?:(?!-----END|---- END|BEGIN )[^<>{}]){0,8192}"
                r"-{4,5} ?END [A-Z0-9 ]{1,60}-{4,5}"
                r"|(?:(?!-----END|---- END)[^\"'`<>{}]){0,16384})"
            ),
        ),
        "Private keys in PEM and PGP armour, truncated ones included: RFC 7468, RFC 9580.",
        (
            f"-----BEGIN PRIVATE KEY-----\n{ALNUM[:64]}==\n-----END PRIVATE KEY-----",
            f'{{"k": "-----BEGIN RSA PRIVATE KEY-----\\n{ALNUM[:64]}\\n"}}',
            f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{ALNUM[:64]}",
            f'"-----BEGIN EC PRIVATE KEY-----" + \n "{ALNUM[:64]}" "-----END EC PRIVATE KEY-----"',
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB",
            "-----BEGIN PUBLIC KEY-----\nMIIB",
            "the private key",
        ),
    ),
    Rule(
        "private-key-base64",
        ("14 ls0tls1crudjti",),
        (match_prefix("LS0tLS1CRUdJTi") + r"[A-Za-z0-9+/]{20,}={0,2}",),
        "Private keys in PEM that are encoded in base64 again, as Kubernetes stores them.",
        (f"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2{ALNUM[:80]}",),
        (f"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUV2{ALNUM[:80]}",),
        is_encoded_pem,
    ),
    Rule(
        "encoded-private-key",
        ("+ufjjvkfursblrv", "+quklwqvrfietfw", "+bssvzbveugs0vz"),
        tuple(
            rf"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{{8,16384}}?(?:{encoded})[A-Za-z0-9+/]{{16,}}={{0,2}}"
            for encoded in ("UFJJVkFURSBLRV", "QUklWQVRFIEtFW", "BSSVZBVEUgS0VZ")
        ),
        "Files in base64 that hold a private key in PEM, such as Kubernetes configurations.",
        tuple(
            base64.b64encode(f"{start}-----BEGIN PRIVATE KEY-----\n{ALNUM[:64]}".encode()).decode()
            for start in ("tls: {key", "tls: {{key", "tls: {{{key")
        ),
        (base64.b64encode(f"-----BEGIN CERTIFICATE-----\n{ALNUM[:64]}".encode()).decode(),),
    ),
    Rule(
        "putty-key",
        ("putty-user-key-file-",),
        (r"PuTTY-User-Key-File-[23](?![A-Za-z0-9])[^\"'`<>{}]{0,8192}",),
        "Private keys in PuTTY's format.",
        (f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 1\n{ALNUM[:60]}",),
        ("PuTTY-User-Key-File-Format",),
    ),
    Rule(
        "url-password",
        ("://&@",),
        (
            (
                r"://[^\s/?#\"'<>:\\]{0,256}:(?![0-9]{1,5}[/?#\s])(?P<secret>[^\s\"'<>\\]{1,256}?)"
                r"@(?=[\w.\[\-]{1,253}(?:[:/?#\s\"'`<>,;)\]}\\]|$))"
            ),
        ),
        "Passwords in URLs: RFC 3986, section 3.2.1.",
        (
            "postgres://app:s3cr3t@db/x",
            "redis://:hunter2@localhost:6379/0",
            "https://u:p%40ss@host/",
            "postgresql://app@server:hunter22@server.postgres.example/x",
            "smtps://bot@acme.example:hunter22@mail.acme.example",
        ),
        (
            "https://host:8080/@scope/name",
            "https://me@host:8080/@scope/name",
            "https://user@host/",
            "http://host:80?mail=a@b.c",
        ),
        fully_hidden=True,
    ),
    Rule(
        "oracle-url",
        ("!oracle:",),
        (r"oracle:[a-z]{1,8}:[^\s/@\"'<>]{1,128}/(?P<secret>[^\s@\"'<>]{1,128})@",),
        "Passwords in the URLs of Oracle databases.",
        ("jdbc:oracle:thin:app/s3cr3t@//db:1521/x",),
        ("jdbc:oracle:thin:@//db:1521/x", "oracle: see a/b and me@host"),
        fully_hidden=True,
    ),
    Rule(
        "password-hash",
        ("!$2a$", "!$2b$", "!$2y$", "!$1$", "!$5$", "!$6$", "!$y$", "!$7$", "!$apr1$", "!$argon2"),
        (
            (
                r"\$(?:2[aby]\$[0-9]{2}\$(?P<a>[A-Za-z0-9./]{53})"
                r"|(?:1|5|6|7|y|apr1)\$(?:[^\s$]{1,64}\$){1,2}[A-Za-z0-9./]{22,128}"
                r"|argon2(?:id|i|d)\$[\w=,$+/]{20,256})"
            ),
        ),
        "Password hashes of crypt and its successors, from which passwords can be guessed.",
        (
            f"$2b$12${ALNUM[:53]}",
            f"root:$6$salt1234${ALNUM[:86]}:19000:",
            f"me:$apr1$abcdefgh${ALNUM[:22]}",
            f"$argon2id$v=19$m=65536,t=3,p=4${ALNUM[:22]}${ALNUM[:43]}",
        ),
        ("$1$2", "costs $6$ or $7$ a piece", "$2b$12$short", "$argon2id$"),
        fully_hidden=True,
    ),
    Rule(
        "signature",
        ("!sig=", "!signature="),
        (r"sig(?<![a-z0-9]sig)(?:nature)?=[\"']?(?P<secret>[a-z0-9%+/=_\-.~]{16,})",),
        "Signatures of URLs and requests (Azure SAS, AWS, Google), which let anyone repeat them.",
        (f"https://x/?sv=1&sig={ALNUM[:30]}%3D", f"X-Amz-Signature={HEX[:64]}"),
        ("sig=short", f"design={ALNUM[:30]}"),
        lowercase=True,
    ),
    Rule(
        "authorization-code",
        ("!code=",),
        (r"[?&]code=(?P<secret>[a-z0-9%+/=_\-.~]{20,})",),
        "OAuth 2.0 authorization codes (RFC 6749, section 4.1) and keys of Azure Functions.",
        (
            f"https://x/cb?code={ALNUM[:40]}&state=1",
            f"https://f.example/api?x=1&code={ALNUM[:50]}==",
        ),
        ("https://x/?code=404", "https://x/?code=validation_error"),
        has_digit,
        lowercase=True,
    ),
    Rule(
        "generated-key",
        ("key",),
        (
            (
                r"key(?<!public.key)(?<!publickey)(?<!cache.key)(?<!cachekey)"
                r"(?<!websocket.key)(?<!idempotency.key)"
                r"(?<!idempotencykey)(?<!partition.key)(?<!primary.key)(?<!sort.key)(?<!routing.key)(?<!object.key)"
                rf"(?:[_\-](?!{_KEY_DESCRIPTION})[a-z0-9]{{1,12}})?"
                r"\\{0,4}[\"'`]?\s{0,4}[:?]{0,2}(?:=>?|:)\s{0,4}\(?\\{0,4}[\"'`]{0,3}(?P<secret>[a-z0-9+/_\-]{16,}={0,2})(?![\w.%])"
            ),
        ),
        "Values that look random and whose name ends with key, or with key and another word.",
        (
            f"ALGOLIA_KEY={HEX[:32]}",
            f'"mapsKey": "{ALNUM[:39]}"',
            f"?key={ALNUM[:32]}",
            f"KEY_PROD = '''{ALNUM[:32]}",
            f'key = ("{ALNUM[:32]}"',
        ),
        (
            "key=some_long_configuration_name_here",
            f"cache_key={HEX[:40]}",
            f'"key": "{UUID}"',
            f"key_id={HEX[:32]}",
            f"key_hash: {HEX[:64]}",
        ),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "generated-auth",
        ("auth",),
        (
            r"auth(?:entication)?\\{0,4}[\"'`]?\s{0,4}[:?]{0,2}(?:=>?|:)\s{0,4}\\{0,4}[\"'`]?(?P<secret>[a-z0-9+/_\-]{20,}={0,2})(?![\w.%])",
        ),
        "Values that look random and whose name ends with auth or authentication.",
        (f"x-auth: {ALNUM[:32]}", f'"auth": "{HEX[:40]}"', f"authentication={ALNUM[:30]}"),
        ("auth: required_for_this_endpoint", "auth=none"),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "generated-secret",
        ("token", "secret", "pass", "pwd"),
        tuple(
            word + r"(?![a-z0-9_])(?!\r?\n[a-z0-9])(?:\s{1,4}string\s{0,4}=)?[\s(,>|:=\"'`]{1,12}"
            r"(?P<secret>[a-z0-9+/_\-]{16,}={0,2})(?![\w.%])"
            for word in (
                "token(?<!public.token)(?<!publictoken)",
                "secret",
                "pass(?:w(?:or)?d|phrase)",
                "pwd",
            )
        ),
        "Values that look random and follow the word token, secret, password, passphrase or pwd.",
        (
            f"invalid token {HEX[:32]}",
            f"client.setToken('{ALNUM[:24]}')",
            f"password >\n {ALNUM[:24]}",
        ),
        (f"tokens {HEX[:32]}", "secret and_many_other_words_after_it", f"token for {HEX[:32]}"),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "session-cookie",
        ("_session=&=", "sessionid=&=", ".sid=&="),
        (r"(?:_session|sessionid|\.sid)=(?P<secret>[a-z0-9%+/=_\-.~:]{20,})",),
        "Session cookies of Rails, Django and Express, which stand for a login.",
        (
            f"_gitlab_session={HEX[:32]}",
            f"connect.sid=s%3A{ALNUM[:32]}.{ALNUM[:43]}",
            f"sessionid={LOWER[:32]}",
        ),
        ("a_session=none", f"session={HEX[:32]}", "last_session=2026-11-23-evening-of-work"),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "path-token",
        ("!/token", "!/secret", "!key/"),
        (r"/(?:tokens?|secrets?|(?:api[_\-]?)?key)/(?P<secret>[a-z0-9_\-]{16,256})(?![\w.%])",),
        "Values that look random in a path, behind token, secret or key.",
        (
            f"https://x/v1/token/{HEX[:32]}/orders",
            f"GET /secret/{ALNUM[:24]}",
            f"/api-key/{HEX[:40]}?x=1",
        ),
        ("/token/refresh_all_sessions", f"/key/{UUID}", f"/tokenizer/{HEX[:32]}", "/secret/short"),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "url-token",
        ("://&@",),
        (r"://(?P<secret>[a-z0-9_\-]{20,256})@(?=[\w.\[\-])",),
        "Tokens in URLs, instead of a user name.",
        (f"https://{HEX[:40]}@git.example/x.git",),
        ("https://somebody.with-a-name@git.example/",),
        is_generated,
        lowercase=True,
    ),
    Rule(
        "card-number",
        ("#digits",),
        (
            (
                r"[2-6](?<![\w.\-].)(?:(?:(?<=4)\d{3}|(?<=5)[1-5]\d\d|(?<=2)(?:2[2-9]|[3-6]\d|7[01])\d"
                r"|(?<=6)(?:011|4[4-9]\d|[25]\d\d)|(?<=3)5[2-8]\d)"
                r"(?P<a>[ +\-]?)\d{4}(?P=a)\d{4}(?P=a)\d{4}"
                r"|(?<=3)[47]\d\d(?P<b>[ +\-]?)\d{6}(?P=b)\d{5}"
                r"|(?<=3)(?:0[0-5]|[68]\d)\d(?P<c>[ +\-]?)\d{6}(?P=c)\d{4})(?![\w\-]|\.\d)"
            ),
        ),
        "Payment card numbers in the issuers' ranges (ISO/IEC 7812) with a correct check digit.",
        ("4111111111111111", "5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117"),
        ("4111111111111112", "1732459871234567", "0.4111111111111111", "4111111111111111a"),
        passes_luhn,
    ),
    Rule(
        "us-ssn",
        ("#ssn",),
        (r"[0-8](?<![\w.\-].)\d\d(?<!000)(?<!666)-(?!00)\d\d-(?!0000)\d{4}(?![\w\-]|\.\d)",),
        "US social security numbers in the ranges that the Social Security Administration issues.",
        ("123-45-6789", "ssn is 536-22-1234"),
        ("000-12-3456", "987-65-4321", "123-45-67890", "2024-01-2024"),
        fully_hidden=True,
    ),
)
