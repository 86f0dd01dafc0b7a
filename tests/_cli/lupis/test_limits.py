"""`lupis limits`: the rate limits that providers report."""

import json

HEADER = "http.response.header."


def test_last_and_lowest_numbers_are_shown(store, lupis):
    """They come from the headers of the responses."""
    for remaining in ("2", "40"):
        limits = {"limit": "60", "remaining": remaining}
        headers = {f"{HEADER}x-ratelimit-{part}-requests": (text,) for part, text in limits.items()}
        store.call("m", **headers)
    line = lupis("limits").stdout.splitlines()[2]
    assert {"openai", "m", "requests", "60", "40", "2", "3%"} <= {*line.split()}
    (row,) = json.loads(lupis("limits", "--format", "json").stdout)
    assert (60, 40, 2) == (row["limit"], row["last"], row["lowest"])


def test_a_store_without_limits_is_explained(store, lupis):
    """Most local servers report none."""
    store.call()
    assert "No rate limits" in lupis("limits").stderr
