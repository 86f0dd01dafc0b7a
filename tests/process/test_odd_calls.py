"""What clients are rarely asked, and what their own tests ask of them: the answer is the same with us."""

import pytest
from servers.pair import Case, Pairs, check_transparent

CASES = {
    "requests: a request that was not prepared": Case(
        "import requests\nfrom calls import call\ncall('a')\n"
        "try:\n    requests.Session().send(requests.Request(url='http://127.0.0.1:9/'))\n"
        "except Exception as error:\n    print(repr(error), error.__context__)\n",
        "a",
    ),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("odd") / "run")


@pytest.mark.parametrize("name", CASES)
def test_the_program_sees_no_difference(name, pair):
    """Same output, same errors."""
    check_transparent(CASES[name], pair(name))
