"""Rules for keys and tokens of messengers, shops, payment and other services."""

from __future__ import annotations

from lupis_instrument._redaction.checks import has_digit, is_generated, is_in_one_case, is_mixed
from lupis_instrument._redaction.rules.rule import (
    ALNUM,
    HEX,
    LOWER,
    MIXED,
    NOT_IN_NAME,
    PIECE,
    UPPER,
    URLSAFE,
    UUID,
    UUID_BODY,
    Rule,
    key_rule,
    match_prefix,
)

_MIXED_CASE = (f"SK{ALNUM[:32]}", f"AC{ALNUM[:32]}", "AC-123")

SERVICE_RULES: tuple[Rule, ...] = (
    key_rule(
        "slack",
        "Slack tokens: https://api.slack.com/concepts/token-types",
        "xox xapp-",
        r"(?:(?<=xox)[a-z]-|(?<=xapp-))[A-Za-z0-9%/+\-]{10,}",
        f"b-{HEX[:10]}-{ALNUM[:24]}",
    ),
    Rule(
        "webhook-url",
        ("!hook",),
        (
            (
                r"hook(?:s\.slack\.com/(?:services|workflows|triggers)/|s\.zapier\.com/hooks/catch/"
                r"|(?<=/webhook)s/\d{10,24}/|(?<=office\.com/webhook)b2/"
                r"|(?<=/bot/v2/hook)/|(?:\.[a-z0-9]{2,4})?\.(?:make|integromat|celonis)\.com/"
                r"|(?<=/webhook)/send\?key=|(?<=tines\.com/webhook)/)"
                r"(?P<secret>[A-Za-z0-9_@+/\-]{15,})"
            ),
        ),
        "URLs of webhooks, to which anyone can post (Slack, Discord, Teams, Zapier, Make, Feishu).",
        (
            f"https://hooks.slack.com/services/T{UPPER[:8]}/B{UPPER[:8]}/{ALNUM[:24]}",
            f"https://discord.com/api/webhooks/123456789012345678/{ALNUM[:68]}",
            f"https://open.feishu.cn/open-apis/bot/v2/hook/{UUID}",
            f"https://hook.eu1.make.com/{LOWER[:32]}",
            f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={UUID}",
        ),
        (
            "https://hooks.slack.com/services/",
            "https://hook.eu1.make.com/docs",
            "https://discord.com/api/webhooks/123456789012345678",
        ),
        lowercase=True,
    ),
    Rule(
        "discord-bot",
        ("#dotted",),
        (
            r"(?<![A-Za-z0-9_.\-])[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,45}(?![A-Za-z0-9_\-]|\.[A-Za-z0-9])",
        ),
        "Discord bot tokens: the bot's id in base64, a time, a signature.",
        (f"MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDe.{ALNUM[:38]}",),
        (
            f"MTIzNDU2Nzg5MDEyMzQ1Njc4.Gabc.{ALNUM[:38]}",
            f"Module_name_of_something.method.{'abc_' * 9}abc",
        ),
        is_mixed,
    ),
    Rule(
        "telegram-bot",
        ("!:a",),
        (r":A(?<=[0-9]{5}:A)(?P<secret>[A-Za-z0-9_\-]{33,35})(?![A-Za-z0-9_\-])",),
        "Telegram bot tokens: https://core.telegram.org/bots/api#authorizing-your-bot",
        (
            f"110201543:AA{ALNUM[:33]}",
            f"https://api.telegram.org/bot110201543:AA{ALNUM[:33]}/getMe",
        ),
        ("110201543:AAshort", f"1102:AA{ALNUM[:33]}", f"110201543:AA{ALNUM[:60]}"),
    ),
    key_rule(
        "twilio-key", "Twilio API key SIDs", "SK", r"[0-9A-Za-z]{32}(?![A-Za-z0-9])", HEX[:32]
    )._replace(check=is_in_one_case, near_misses=_MIXED_CASE),
    key_rule(
        "twilio-account",
        "Twilio account SIDs, which are the user names of its basic authentication",
        "AC",
        r"[0-9A-Za-z]{32}(?![A-Za-z0-9])",
        HEX[:32],
    )._replace(check=is_in_one_case, near_misses=_MIXED_CASE),
    key_rule(
        "sendgrid",
        "SendGrid keys",
        "SG.",
        r"(?:[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}|[A-Za-z0-9_\-.=]{66})",
        f"{ALNUM[:22]}.{ALNUM[:43]}",
    ),
    key_rule(
        "brevo",
        "Brevo keys",
        "xkeysib- xsmtpsib-",
        r"[0-9a-f]{64}-[A-Za-z0-9_\-]{16}",
        f"{HEX[:64]}-{ALNUM[:16]}",
    ),
    key_rule(
        "mailgun", "Mailgun keys", "key- pubkey-", r"[0-9A-Za-z]{32}(?![\w\-])", LOWER[:32]
    )._replace(check=has_digit),
    Rule(
        "mailgun-private",
        ("#hex-groups",),
        (r"-(?<=(?<![\w\-])(?P<head>[0-9a-f]{32})-)[0-9a-f]{8}-[0-9a-f]{8}(?![\w\-])",),
        "Private keys of Mailgun accounts.",
        (f"{HEX[:32]}-{HEX[32:40]}-{HEX[40:48]}",),
        (f"{HEX[:32]}-{HEX[32:40]}", f"{HEX[:32]}-{HEX[32:40]}-{HEX[40:49]}"),
    ),
    Rule(
        "mailchimp",
        (
            *(f"=us{number}" for number in range(1, 100)),
            *(f"=us0{number}" for number in range(1, 10)),
        ),
        (r"-us(?<=(?<![A-Za-z0-9])(?P<head>[0-9A-Za-z]{32})-us)[0-9]{1,2}(?![\w\-])",),
        "Mailchimp keys, which end with their data centre: https://mailchimp.com/developer/marketing/docs/fundamentals",
        (f"{HEX[:32]}-us6", f"key={HEX[8:40]}-us21"),
        (f"{HEX[:30]}-us6", f"{HEX[:32]}-use"),
    ),
    key_rule(
        "stripe",
        "Stripe keys: https://docs.stripe.com/keys",
        "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_ sk_prod_ rk_prod_",
        r"[A-Za-z0-9]{10,}",
    ),
    Rule(
        "stripe-client-secret",
        ("pi_", "seti_", "cs_", "src_"),
        tuple(
            match_prefix(prefix) + r"(?:test_|live_)?[A-Za-z0-9]{14,64}_secret_[A-Za-z0-9]{16,}"
            for prefix in ("pi_", "seti_", "cs_", "src_")
        ),
        "Client secrets of Stripe's payments: https://docs.stripe.com/api/payment_intents/object",
        (f"pi_{ALNUM[:24]}_secret_{ALNUM[3:28]}", f"cs_test_{ALNUM[:58]}_secret_{ALNUM[3:28]}"),
        (f"pi_{ALNUM[:24]}", "pi_name_secret_santa"),
    ),
    key_rule(
        "razorpay",
        "Razorpay key ids, which are the user names of its basic authentication",
        "rzp_live_ rzp_test_",
        r"[A-Za-z0-9]{14}(?![\w])",
        ALNUM[:14],
    ),
    key_rule(
        "resend",
        "Resend API keys: https://resend.com/docs/dashboard/api-keys/introduction",
        "re_",
        r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}",
        f"{ALNUM[:8]}_{ALNUM[8:32]}",
        not_before=NOT_IN_NAME,
    ),
    key_rule(
        "apify",
        "Apify tokens: https://docs.apify.com/platform/integrations/api",
        "apify_api_",
        PIECE,
    ),
    Rule(
        "deepl",
        ("!:fx",),
        ((rf":fx(?![\w\-])(?<=(?<![A-Za-z0-9])(?P<head>{UUID_BODY}):fx)"),),
        "DeepL keys of the free plan: https://developers.deepl.com/docs/getting-started/auth",
        (f"{UUID}:fx", f"DeepL-Auth-Key {UUID}:fx"),
        (f"{UUID[1:]}:fx", f"{UUID}:fxa", "https://x:fx"),
    ),
    key_rule(
        "adafruit", "Adafruit IO keys", "aio_", r"[A-Za-z0-9]{28}(?![\w])", ALNUM[:28]
    )._replace(check=has_digit),
    key_rule("alchemy", "Alchemy tokens", "alcht_", r"[A-Za-z0-9]{30}(?![\w])", ALNUM[:30]),
    key_rule("ramp", "Ramp client secrets", "ramp_sec_", r"[A-Za-z0-9]{40,}(?![\w])", ALNUM[:48]),
    key_rule("shortcut", "Shotstack, Shelf and Squarespace tokens", "shltm_ sqco_", URLSAFE, MIXED),
    key_rule("ubidots", "Ubidots keys", "BBFF- BBUS-", r"[A-Za-z0-9]{30,36}(?![\w\-])", ALNUM[:30]),
    key_rule(
        "voiceflow",
        "Voiceflow keys",
        "VF.DM. VF.WS. VF.",
        r"[0-9a-fA-F]{24}\.[A-Za-z0-9]{16}(?![\w])",
        f"{HEX[:24]}.{ALNUM[:16]}",
    ),
    key_rule(
        "pubnub", "PubNub keys", "pub-c- sub-c- sec-c-", r"[A-Za-z0-9\-]{36,64}(?![\w])", UUID
    ),
    key_rule(
        "zoho",
        "Zoho OAuth tokens: https://www.zoho.com/accounts/protocol/oauth.html",
        "1000.",
        r"[0-9a-f]{32}\.[0-9a-f]{32}(?![\w.])",
        f"{HEX[:32]}.{HEX[32:64]}",
    ),
    key_rule("stripe-webhook", "Stripe webhook secrets", "whsec_"),
    key_rule(
        "shopify",
        "Shopify tokens",
        "shpat_ shpca_ shppa_ shpss_ shptka_",
        r"[0-9A-Fa-f]{32}(?![\w])",
        HEX[:32],
    ),
    key_rule(
        "square",
        "Square tokens and secrets",
        "sq0",
        r"[a-z]{3}-[A-Za-z0-9_\-]{22,43}",
        f"atp-{ALNUM[:22]}",
    ),
    key_rule(
        "square-access",
        "Square access tokens",
        "EAAA",
        r"[A-Za-z0-9_\-]{22,60}(?![\w\-])",
        ALNUM[:60],
    ),
    key_rule(
        "facebook",
        "Facebook access tokens",
        "EAA",
        r"[A-Za-z0-9]{60,}",
        ALNUM[:160],
    ),
    key_rule(
        "instagram",
        "Instagram access tokens",
        "IGQV IGQW IGAA",
        r"[A-Za-z0-9_\-]{80,}",
        ALNUM[:120],
    ),
    Rule(
        "facebook-app",
        tuple(f"!{digit}|" for digit in range(10)),
        (r"\|(?<=[0-9]{12}\|)(?P<secret>[A-Za-z0-9_\-]{24,40})(?![\w\-|])",),
        "Facebook app access tokens: the id and the secret of an app.",
        (f"access is 1234567890123456|{ALNUM[:27]}",),
        (f"12345|{ALNUM[:27]}", "1234567890123456|short"),
    ),
    key_rule(
        "braintree",
        "PayPal Braintree access tokens",
        "access_token$production$ access_token$sandbox$",
        r"[0-9a-z]{16}\$[0-9a-z]{32}(?![\w])",
        f"{LOWER[:16]}${HEX[:32]}",
    ),
    key_rule(
        "flutterwave",
        "Flutterwave keys",
        "FLWSECK_TEST- FLWPUBK_TEST- FLWSECK- FLWPUBK-",
        r"[A-Za-z0-9]{12,}(?:-X)?",
        HEX[:32],
    ),
    key_rule("easypost", "EasyPost keys", "EZAK EZTK", r"[A-Za-z0-9]{54}(?![\w])", ALNUM[:54]),
    key_rule("woocommerce", "WooCommerce keys", "ck_ cs_", r"[0-9a-f]{40}(?![\w])", HEX[:40]),
    key_rule(
        "shippo",
        "Shippo tokens",
        "shippo_live_ shippo_test_",
        r"[0-9A-Fa-f]{40}(?![\w])",
        HEX[:40],
    ),
    key_rule("duffel", "Duffel tokens", "duffel_live_ duffel_test_", URLSAFE, ALNUM[:43]),
    key_rule(
        "lob",
        "Lob and GoCardless keys",
        "live_ test_ live_pub_ test_pub_",
        r"[A-Za-z0-9_\-]{31,40}(?![\w\-])",
        ALNUM[:35],
        not_before=NOT_IN_NAME,
    )._replace(check=has_digit),
    key_rule(
        "plaid",
        "Plaid access tokens",
        "access-sandbox- access-development- access-production-",
        UUID_BODY,
        UUID,
    ),
    key_rule(
        "salesforce",
        "Salesforce session ids",
        "00D",
        r"[A-Za-z0-9]{12,15}![A-Za-z0-9._]{20,}",
        f"{ALNUM[:12]}!{ALNUM[:96]}",
    )._replace(literals=("00d&!",)),
    key_rule(
        "salesforce-consumer",
        "Salesforce consumer keys",
        "3MVG",
        r"[A-Za-z0-9_.]{50,}",
        ALNUM[:81],
    ),
    key_rule(
        "hubspot", "HubSpot private app tokens", "pat-na1- pat-na2- pat-eu1-", UUID_BODY, UUID
    ),
    key_rule("linear", "Linear keys", "lin_api_ lin_oauth_", PIECE),
    key_rule(
        "notion",
        "Notion tokens",
        "ntn_ secret_",
        r"[A-Za-z0-9_\-]{40,}",
        ALNUM[:46],
        not_before=NOT_IN_NAME,
    ),
    key_rule("figma", "Figma tokens", "figd_ figu_ figp_ figo_ figr_", URLSAFE, MIXED),
    key_rule("typeform", "Typeform tokens", "tfp_", r"[A-Za-z0-9_\-.=]{40,}", ALNUM[:59]),
    key_rule("contentful", "Contentful tokens", "CFPAT-", URLSAFE, ALNUM[:43]),
    key_rule("frameio", "Frame.io tokens", "fio-u-", r"[A-Za-z0-9_\-=]{20,}", ALNUM[:64]),
    key_rule("dropbox", "Dropbox access tokens", "sl. sl.u.", r"[A-Za-z0-9_\-=]{77,}", ALNUM[:135]),
    Rule(
        "dropbox-long",
        ("+aaaaaaaaaa",),
        (
            (
                r"AAAAAAAAAA(?<=(?<![A-Za-z0-9])(?P<head>(?!AAAA)[A-Za-z0-9]{11})A{10})"
                r"[A-Za-z0-9_=\-]{43}(?![A-Za-z0-9_\-])"
            ),
        ),
        "Dropbox access tokens that do not expire: 11 characters, then ten times A.",
        (f"{ALNUM[:11]}AAAAAAAAAA{ALNUM[:43]}",),
        (f"{ALNUM[:10]}AAAAAAAAAA{ALNUM[:43]}", f"{'A' * 21}{ALNUM[:43]}"),
        is_generated,
    ),
    Rule(
        "twitter-bearer",
        ("24 aaaaaaaaaaaaaaaaaaaa",),
        (
            (
                rf"{'A' * 20}(?<![A-Za-z0-9+_\-]{'A' * 20})A{{0,3}}(?!A)"
                r"[A-Za-z0-9%+=]{40,200}(?![A-Za-z0-9%+=_\-])"
            ),
        ),
        "Bearer tokens of X apps: https://docs.x.com/fundamentals/authentication/oauth-2-0/application-only",
        (
            f"{'A' * 22}{ALNUM[:50]}%3D{ALNUM[:40]}",
            f"bearer: {'A' * 21}MLheAAAAAAA0%2B{ALNUM[:30]}%3D{ALNUM[:50]}",
        ),
        (f"{'A' * 40}{ALNUM[:90]}", f"x{'A' * 22}{ALNUM[:90]}", f"{'A' * 22}{ALNUM[:30]}"),
        is_generated,
    ),
    Rule(
        "airtable",
        ("#dotted",),
        (match_prefix("pat") + r"[A-Za-z0-9]{14}\.[0-9a-f]{64}(?![\w])",),
        "Airtable personal access tokens.",
        (f"pat{ALNUM[:14]}.{HEX[:64]}",),
        (f"pat{ALNUM[:14]}.{HEX[:30]}", "path/to/some.thing.entirely"),
    ),
    key_rule("nylas", "Nylas keys", "nyk_v0_"),
    key_rule("riot", "Riot Games keys", "RGAPI-", UUID_BODY, UUID),
    key_rule("settlemint", "SettleMint tokens", "sm_aat_ sm_pat_ sm_sat_", r"[A-Za-z0-9]{16,}"),
    key_rule(
        "authress",
        "Authress service client keys",
        "sc_ ext_ scauth_ authress_",
        r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_\-][A-Za-z0-9\-]{10,32}\.[A-Za-z0-9+/_=\-]{30,120}",
        f"{LOWER[:10]}.{LOWER[:5]}.acc-{LOWER[:12]}.{ALNUM[:60]}",
    ),
    key_rule("beamer", "Beamer keys", "b_", r"[A-Za-z0-9=_\-]{44}(?![\w\-])", ALNUM[:44])._replace(
        check=has_digit
    ),
    Rule(
        "maxmind",
        ("+_mmk",),
        (r"(?<![\w])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?![\w])",),
        "MaxMind license keys.",
        (f"{ALNUM[:6]}_{ALNUM[:29]}_mmk",),
        ("some_mmk_or_other_thing",),
    ),
    key_rule(
        "1password-account",
        "1Password service account tokens",
        "ops_eyJ",
        r"[A-Za-z0-9+/_\-]{60,}={0,3}",
        ALNUM[:200],
    ),
    key_rule(
        "1password-secret",
        "1Password secret keys",
        "A3-",
        r"[A-Z0-9]{6}-(?:[A-Z0-9]{6}-[A-Z0-9]{5}|[A-Z0-9]{11})(?:-[A-Z0-9]{5}){3}(?![\w\-])",
        f"{UPPER[:6]}-{UPPER[:6]}-{UPPER[:5]}-{UPPER[5:10]}-{UPPER[7:12]}-{UPPER[9:14]}",
    ),
    key_rule(
        "age",
        "age identities",
        "AGE-SECRET-KEY-1",
        r"[A-Z0-9]{58}",
        "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2,
    )._replace(examples=(f"AGE-SECRET-KEY-1{('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L' * 2)[:58]}",)),
    key_rule(
        "clickhouse", "ClickHouse Cloud secrets", "4b1d", r"[A-Za-z0-9]{38}(?![\w])", ALNUM[:38]
    ),
)
