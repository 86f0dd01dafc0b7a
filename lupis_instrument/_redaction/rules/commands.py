"""Rules for secrets on command lines, in SQL and in code, which follow no name of a secret."""

from __future__ import annotations

from lupis_instrument._redaction.checks import is_no_placeholder
from lupis_instrument._redaction.rules.rule import Rule

# In a query, a plus sign stands for the blank.
_BLANK = r"[\s+]"
_USER = rf"-(?<=[\s+\"'\[,]-)(?:[uU]|-(?:proxy-)?user)(?:{_BLANK}{{0,4}}|=)(?!<)[\"']?"

COMMAND_RULES: tuple[Rule, ...] = (
    Rule(
        "command-user",
        ("!curl", "!curl"),
        (
            _USER + r"[^\s\"':]{0,80}[\"']?:[\"']?(?P<secret>[^\s\"']{3,200})",
            _USER + r"(?P<secret>[^\s\"':$<]{12,200}):(?=[\s\"']|$)",
        ),
        "Passwords and keys on the command line of curl (--user, --proxy-user).",
        (
            "curl -s -u admin:hunter22 https://x/",
            "curl https://x \\\n  --user 'me:pa55word'",
            "curl -U me:pa55word x",
            "curl+--user+me:pa55word",
            "curl -u 7hQ2mZx9Kp4LwR8sTb3N: https://x/",
        ),
        (
            "curl -u admin https://x/",
            "curl/8.4.0",
            'curl -u "$USER:$PASSWORD" https://x/',
            "curl -u <user:password> https://x/",
            "curl --user neo4j:[PASSWORD] https://x/",
        ),
        is_no_placeholder,
        fully_hidden=True,
    ),
    Rule(
        "command-bearer",
        ("!--oauth2-bearer",),
        (rf"--oauth2-bearer(?:{_BLANK}|=){{1,4}}[\"']?(?P<secret>[^\s\"']{{3,4096}})",),
        "Bearer tokens on the command line of curl.",
        ('curl --oauth2-bearer "eZs2fjkjD8hUcsQ37b8z==" https://x/',),
        ("see --oauth2-bearer",),
        fully_hidden=True,
    ),
    Rule(
        "command-password",
        ("!sshpass",),
        (rf"sshpass{_BLANK}{{1,4}}-p{_BLANK}{{0,4}}[\"']?(?P<secret>[^\s\"']{{3,200}})",),
        "Passwords on the command line of sshpass.",
        ("sshpass -p hunter22 ssh me@host", "sshpass+-p+hunter22", "sshpass -p'hunter22' ssh x"),
        ("sshpass -f file ssh me@host", 'sshpass -p "$PASSWORD" ssh x'),
        is_no_placeholder,
        fully_hidden=True,
    ),
    Rule(
        "curl-option",
        ("!curl",),
        (
            (
                r"CURLOPT_(?:XOAUTH2_BEARER|(?:PROXY)?PASSWORD|(?:PROXY)?USERPWD|KEYPASSWD)"
                r"\s{0,4},\s{0,4}\\{0,4}(?P<a>[\"'])(?P<secret>[^\"'\\\n]{3,4096})\\{0,4}(?P=a)"
            ),
        ),
        "Passwords and tokens in calls of libcurl: https://curl.se/libcurl/c/curl_easy_setopt.html",
        (
            'curl_easy_setopt(curl, CURLOPT_PASSWORD, "hunter22");',
            "curl_setopt($c, CURLOPT_USERPWD, 'me:hunter22')",
        ),
        ("curl_easy_setopt(curl, CURLOPT_PASSWORD, password);",),
        is_no_placeholder,
        fully_hidden=True,
    ),
    Rule(
        "netrc",
        ("!login",),
        (
            (
                rf"login{_BLANK}{{1,4}}[^\s\"']{{1,128}}{_BLANK}{{1,4}}password{_BLANK}{{1,4}}"
                r"(?P<secret>[^\s\"']{1,256})"
            ),
        ),
        "Passwords in .netrc files.",
        ("machine h.example login me password hunter22",),
        ("login with password", "the login of a password manager"),
        is_no_placeholder,
        fully_hidden=True,
    ),
    Rule(
        "auth-pair",
        ("auth",),
        (
            (
                r"auth\s{0,2}(?:=\s{0,2})?\(\s{0,4}[bru]?[\"'][^\"'\n]{0,80}[\"'],\s{0,4}"
                r"[bru]?(?P<a>[\"'])(?P<secret>[^\"'\n]{3,200})(?P=a)"
            ),
        ),
        "Passwords in the arguments of HTTP clients (auth, HTTPBasicAuth).",
        ('get(url, auth=("me", "hunter22"))', "HTTPBasicAuth('me', 'hunter22')"),
        ('get(url, auth=("me", password))', "auth(1, 2)"),
        is_no_placeholder,
        fully_hidden=True,
        lowercase=True,
    ),
    Rule(
        "secure-string",
        ("convertto-securestring", "convertto-securestring"),
        (
            (
                rf"convertto-securestring{_BLANK}{{1,4}}(?:-[a-z]{{1,16}}{_BLANK}{{1,4}}){{0,4}}"
                r"\\{0,4}(?P<a>[\"'])(?P<secret>[^\"'\\\n]{1,200})\\{0,4}(?P=a)"
            ),
            (
                rf"convertto-securestring{_BLANK}{{1,4}}(?:-[a-z]{{1,16}}{_BLANK}{{1,4}}){{1,4}}"
                r"(?P<secret>[^\s\"'$()\\\-][^\s\"'()]{3,200})"
            ),
        ),
        "Passwords in PowerShell (ConvertTo-SecureString).",
        (
            'ConvertTo-SecureString "P4ss word" -AsPlainText',
            "ConvertTo-SecureString -AsPlainText -Force -String 'P4ss word'",
            "ConvertTo-SecureString+'P4ss+word'",
            'run("ConvertTo-SecureString \\"P4ssword\\"")',
            "ConvertTo-SecureString -Force -String P4ssword",
        ),
        ("ConvertTo-SecureString $value",),
        fully_hidden=True,
        lowercase=True,
    ),
    Rule(
        "sql-password",
        ("identified", "identified", "identified", "password"),
        (
            (
                rf"identified{_BLANK}{{1,4}}"
                rf"(?:with{_BLANK}{{1,4}}[\"'`]?\w{{1,40}}[\"'`]?{_BLANK}{{1,4}})?(?:by|as){_BLANK}{{1,4}}"
                rf"(?:password{_BLANK}{{1,4}})?(?P<a>[\"'])(?P<secret>[^\"'\n]{{1,200}})(?P=a)"
            ),
            (
                rf"(?:user|role|login|to)(?:{_BLANK}{{1,4}}[^\s+]{{1,120}}){{1,6}}{_BLANK}{{1,4}}"
                rf"identified{_BLANK}{{1,4}}"
                rf"(?:with{_BLANK}{{1,4}}\w{{1,40}}{_BLANK}{{1,4}})?by{_BLANK}{{1,4}}"
                r"(?!values\b|password\b|random\b)(?P<secret>[^\s+;\"'`]{1,200})"
            ),
            (
                rf"identified(?<!(?:was|are|has) identified)(?<!(?:is|be|as) identified)"
                rf"(?<!(?:were|been) identified){_BLANK}{{1,4}}by{_BLANK}{{1,4}}"
                rf"(?P<secret>[^\s+;\"'`]{{1,200}}){_BLANK}{{0,4}};"
            ),
            (
                r"password(?<=(?:role|user|ogin|pted)[\s+]password)"
                rf"{_BLANK}{{1,4}}(?P<secret>[^\s+;\"'`]{{1,200}}){_BLANK}{{0,4}};"
            ),
        ),
        "Passwords in SQL (IDENTIFIED BY).",
        (
            "CREATE USER a IDENTIFIED BY 'hunter2'",
            "ALTER USER a IDENTIFIED WITH mysql_native_password BY 'hunter2'",
            "CREATE+USER+a+IDENTIFIED+BY+'hunter2'",
            "CREATE USER scott IDENTIFIED BY tiger;",
            "GRANT CONNECT TO scott IDENTIFIED BY tiger",
            "identified by tiger;",
            "CREATE USER a ACCOUNT UNLOCK IDENTIFIED BY tiger",
            "IDENTIFIED WITH 'mysql_native_password' AS '*92FD05ADCA2EC9D1'",
            "CREATE ROLE a WITH LOGIN PASSWORD tiger;",
        ),
        (
            "the plant was identified by its leaves",
            "the thief was identified by police; he fled",
            "ALTER USER scott IDENTIFIED BY VALUES",
            "CREATE USER scott IDENTIFIED BY <password>;",
            "ALTER USER scott PASSWORD EXPIRE;",
        ),
        is_no_placeholder,
        fully_hidden=True,
        lowercase=True,
    ),
)
