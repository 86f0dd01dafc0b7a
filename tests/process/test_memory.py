"""Large requests take little more memory than without lupis-run; `tests/bench/memory.py` measures it."""

import json
import sys

import pytest
from servers.caller import list_marks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PROGRAM = """
def send(size, mark):
    url = "data:image/png;base64," + "QUJD" * (size // 4)
    part = {"type": "image_url", "image_url": {"url": url}}
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [part]}]})
    connection = http.client.HTTPConnection(LLM.hostname, LLM.port, timeout=30)
    headers = {"content-type": "application/json", "x-mark": mark}
    connection.request("POST", "/v1/chat/completions", body.encode(), headers)
    connection.getresponse().read()
    connection.close()

size, thread_count, call_count = map(int, sys.argv[2:])

def work(thread):
    for number in range(call_count):
        send(size, f"{thread}-{number}")

threads = [threading.Thread(target=work, args=(thread,)) for thread in range(thread_count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# The peak of resident memory; ru_maxrss would include the memory of the parent before `exec`.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    ("size", "threads", "calls"), [(3_500_000, 1, 40), (3_500_000, 4, 10), (12_000_000, 4, 3)]
)
def test_large_requests_take_little_memory(run_caller, sink, size, threads, calls):
    """Kept until their batch goes, they would take more than 140 MB; each is recorded."""
    arguments = (str(size), str(threads), str(calls))
    bare, launched = (
        json.loads(run_caller(PROGRAM, *arguments, launched=launched, timeout=120).stdout)
        for launched in (False, True)
    )
    assert (launched - bare) / 1024 < 80, f"{bare / 1024:.0f} MB without lupis-run"
    assert threads * calls == len(list_marks(sink))
