"""Values are found in the notations of code, data and prose; similar texts stay."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction import MODES, Redactor

REDACTORS = {mode: Redactor(mode) for mode in MODES}
SECRET = "hunter2x9"
NOTATIONS = [
    'dbPassword = "{}"', "DB_PASSWORD := {}", "DB_PASSWORD ::= '{}'", "DB_PASSWORD ?= {}", "password .= '{}'", "password ??= '{}'",
    'var password string = "{}"', 'let password: &str = "{}";', 'const password: String = "{}"', 'char *password = "{}";',
    'password <- "{}"', "password->{}", 'config.password -> "{}"', ":password => '{}'", 'password != "{}"', 'if db_password == "{}" {{',
    "password: |\n  {}", "password: >-\n    {}", "password:\n  '{}'", "<password>{}</password>", "<Password>\n  {}\n</Password>",
    '<password type="plain">{}</password>', "<a:password>{}</a:password>", '<add key="Password" value="{}" />', '<entry name="password" value="{}"/>',
    '{{"name": "password",\n     "value": "{}"}}', '{{"password", "{}"}}', '.set("password", "{}")', 'setPassword("{}")',
    '#define PASSWORD "{}"', "private_key '{}';", 'myapikey1 "{}"', "--password {}", "--password={}", "tool -password {} x", "tool -Password '{}'",
    "PASSWORD '{}'", "pAsSwOrD={}", "password is {}", "the password was {}", 'pass = "{}"', "user=me pw={}", "creds: {}",
    "run?cmd=tool+--password+{}", "q=ALTER+USER+a+PASSWORD+'{}'", "q=CREATE+USER+a+IDENTIFIED+BY+'{}'", "q=curl+-u+me:{}+https://h/",
    "curl -s \\\n  -u me:{} https://h/", 'curl -u "me":"{}" https://h/', "curl -u ':{}' https://h/", 'get(url, auth=("me", "{}"))',
    "HTTPBasicAuth('me', '{}')", "sshpass -p {} ssh me@h", "pass\u200bword={}", "pass\u00adword={}", "\uff50\uff41\uff53\uff53word={}",
    "\\u0070assword={}", "password\\u003d{}", "&lt;password&gt;{}&lt;/password&gt;", "%70assword={}", '{{\\"password\\":\\"{}\\"}}',
    "pass\u200eword={}", "pass\ufe0fword={}", "pass\u0301word={}", "p\x00a\x00s\x00s\x00w\x00o\x00r\x00d\x00={}", "p\u0430ssword={}",
    "p\u0430\u0455sword={}", "passw\u03bfrd={}", "\u24df\u24d0\u24e2\u24e2\u24e6\u24de\u24e1\u24d3={}", "\U0001d429\U0001d41assword={}", "to\u212aen={}",
    "password\uff1a{}", "password\ufe55 {}", "password\u00a0=\u00a0{}", "\u201cpassword\u201d: \u201c{}\u201d", "\u300cpassword\u300d\uff1a\u300c{}\u300d",
    "password&#61;{}", "password&#x3A; {}", "password&equals;{}", "password\\u{{3d}}{}", "\\160assword={}", "\\U00000070assword={}", "\\uff50assword={}",
    "password%2525253D{}", "pass%00word={}", '{{"api key": "{}"}}', "<password><![CDATA[{}]]></password>", "q=%22password%22%3A+%22{}%22",
    "password for admin: {}", "password of root is {}", "machine h login me password {}", "jdbc:oracle:thin:me/{}@//h:1521/x", "PHPSESSID={}",
    'Authorization: Digest username="me", response="{}"', f"password={'x' * 600}{{}}", f'token="{"*" * 600}{{}}"',
    '#define\\tpassword\\t\\"{}\\"', "#define PASSWORD {}", "ENV DB_PASSWORD {}", "setx DB_PASSWORD {}", "setenv DB_PASSWORD {}",
    'password = os.environ.get("PASSWORD") or "{}"', 'password = getenv("NAME", "{}")', 'password = process.env.NAME || "{}"',
    'login(env.get("PASSWORD") ?? "{}")', "Key(anySecret):{}", "Password:                {}", "token in text: {}", "PASWORD:={}", "paasword:{}",
]  # fmt: skip
HARMLESS = [
    "password = getpass.getpass()", 'password = input("Password: ")', "my_password = foo(hey)", "password = request.json['password']",
    "login(user=user, password=password)", "$password = $input;", "apiKey: this.apiKey,", "secret = os.environ['SECRET']",
    "token = await self.get_token()", "token = tokens[0]", "password: str = None", "password: Optional[str] = None,",
    "def login(user, password: str) -> bool:", "password = fields.CharField(max_length=30)", 'password = ""', "password=$PASSWORD",
    'password = "${PASSWORD}"', "password={{ password }}", "Authorization: Bearer <your API token>", "Authorization: Bearer $(gcloud token)",
    "Authorization: Basic ...", "Authorization: Token **********", "curl -u <user:password> https://h/", 'curl -u "$1:$2" https://h/',
    'curl -u "${user}":"${password}" https://h/', "credentialsId: 'ff083f76-7804-4ef1-80e4-fe975bb9141b'", "PASSWORD_VARIABLE='PASSWORD'",
    "password is required", "the token was expired", 'get_secret("prod/db")', "unexpected token 'foo'", "publicToken = 5", "pass: 12, fail: 3",
    'the password "and" the user', "passing -p 8080 and --pass-through", "access_token_url='https://h/oauth/access_token'",
    "docker env password needed", "def check(password): return True", 'password = os.environ.get("PASSWORD") or ""', 'sea_salt = "himalaya"',
    "secretKey: api-key", "key_name: x, secret_key: ACCESS_TOKEN", "keyVaultToStoreSecrets: cmp2-qat-1208358310", "passwords for people: none",
    'curl -H "Authorization: basic {base64(email:password[\n])}" https://h/', "password={get_secret(name)}", "the token for users of things is gone",
    "\u201cpasswords\u201d are \u201cout\u201d", "\u043f\u0430\u0440\u043e\u043b\u0438 \u0438 \u0442\u043e\u043a\u0435\u043d\u044b", "le mot\u00a0: passe", "\u2764\ufe0f tokens", "\U0001d41b\U0001d428\U0001d425\U0001d41d text",
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_assigned_value_is_redacted(mode):
    """No part of a value is shown, whatever notation assigns it."""

    def check(notation):
        shown = REDACTORS[mode].redact_text(notation.format(SECRET))
        assert SECRET not in shown
        assert "unter2" not in shown
        assert REDACTORS[mode].redact_text(shown) == shown

    check_rows(check, NOTATIONS)


def test_texts_without_an_assigned_value_stay():
    """Code, placeholders and sentences are returned as they are."""
    assert [] == [text for text in HARMLESS if REDACTORS["mask"].redact_text(text) is not text]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n", "\\r\\n", "%0A", "%0D%0A", "&#10;"])
def test_private_key_over_lines(line_end):
    """All lines of a private key are redacted, whatever separates them."""
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    lines = ["-----BEGIN PRIVATE KEY-----", body, body[::-1], "-----END PRIVATE KEY-----"]
    shown = REDACTORS["remove"].redact_text(f"key is {line_end.join(lines)} and so on")
    assert body[8:24] not in shown
    assert body[::-1][8:24] not in shown
