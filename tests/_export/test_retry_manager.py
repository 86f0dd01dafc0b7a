"""Items are sent to their endpoint, or wait in the store until it answers."""

import contextlib
import gc
import threading

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument._export import held_items
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.retry_manager import RetryManager
from lupis_instrument._export.retry_schedule import MAX_DELAY
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store

URL = "http://127.0.0.1:1/v1/traces"
ACCEPTED = ExportResponse(ExportResult.ACCEPTED)
DOWN = ExportResponse(ExportResult.RETRY, "Connection refused")
BUSY = ExportResponse(ExportResult.RETRY, "status 503", 503)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Endpoint:
    """A sender that answers as a test says, and keeps the names of the accepted spans."""

    def __init__(self):
        self.responses = []
        self.default_response = ACCEPTED
        self.accepted = []
        self.requests = 0
        self.max_seconds = []
        self.waiting = False

    def send_request(self, url, body, headers, *, max_seconds=None, **_):
        """Takes the place of `Sender.send_request`."""
        from servers.otlp import read_spans

        self.requests += 1
        self.max_seconds.append(max_seconds)
        response = self.responses.pop(0) if self.responses else self.default_response
        if response.result is ExportResult.ACCEPTED:
            self.accepted += [span["name"] for span in read_spans(body)]
        return response


class Scene:
    """A retry manager with its store and endpoint, in which nothing takes real time."""

    def __init__(self, store, target):
        self.clock = Clock()
        self.account = Account()
        self.endpoint = Endpoint()
        self.store = store
        self.manager = RetryManager(store, self.account, self.endpoint, self.clock)
        self.destination = Destination(target, {})

    def deliver(self, items, *, to_store=False, take=lambda _: True):
        """Delivers new items to the endpoint, or to the store."""
        self.account.add_created(len(items))
        self.manager.deliver_items(None if to_store else self.destination, items, take)

    def pass_time(self, seconds):
        """Moves the clock, and runs each retry whose time comes."""
        end = self.clock.now + seconds
        while True:
            until_next = self.manager.schedule.seconds_until_next()
            if until_next is None or self.clock.now + until_next > end:
                break
            self.clock.now += until_next
            self.manager.run_due_retry()
        self.clock.now = end

    @property
    def counts(self):
        """Delivered, stored, lost and pending items."""
        account = self.account
        return account.delivered, account.stored, account.lost, account.pending

    def count_waiting(self):
        """Returns the number of items that wait in the store."""
        return self.store.count_waiting(self.destination.target)


@pytest.fixture
def scene(store, target_of):
    """A retry manager whose endpoint accepts everything."""
    return Scene(store, target_of(URL))


def test_accepted_items_are_delivered(scene, items):
    """Nothing is stored for them."""
    scene.deliver(items(3))
    assert ((3, 0, 0, 0), ["0", "1", "2"]) == (scene.counts, scene.endpoint.accepted)
    assert not scene.store.database.exists()


def test_items_without_an_endpoint_are_stored(scene, items):
    """They stay in the store."""
    scene.deliver(items(3), to_store=True)
    assert ((0, 3, 0, 0), 0) == (scene.counts, scene.endpoint.requests)


# an endpoint that is down


def test_items_for_an_endpoint_that_is_down_are_stored(scene, items, capsys):
    """Only the first batch makes a request, and one line names the endpoint."""
    scene.endpoint.default_response = DOWN
    for first in range(0, 50, 10):
        scene.deliver(items(10, first=first))
    assert ((0, 50, 0, 0), 1, 50) == (scene.counts, scene.endpoint.requests, scene.count_waiting())
    assert 1 == capsys.readouterr().err.count("\n")


def test_stored_items_are_sent_when_the_endpoint_is_up_again(scene, items):
    """Each is sent once, the oldest first."""
    scene.endpoint.responses = [DOWN, DOWN]
    scene.deliver(items(700))
    scene.deliver(items(300, first=700))
    scene.pass_time(10)
    scene.deliver(items(10, first=1000))
    assert list(map(str, range(1010))) == scene.endpoint.accepted
    assert ((1010, 0, 0, 0), 0) == (scene.counts, scene.count_waiting())


def test_the_delay_between_attempts_grows(scene, items):
    """It doubles up to a minute; chance shortens it."""
    scene.endpoint.default_response = DOWN
    scene.deliver(items(1))
    delays = []
    for _ in range(12):
        delays.append(scene.manager.schedule.seconds_until_next())
        scene.pass_time(delays[-1])
    for number, seconds in enumerate(delays):
        longest = min(MAX_DELAY, 2.0**number)
        assert longest / 2 <= seconds <= longest


def test_retry_after_sets_the_delay(scene, items):
    """The endpoint knows best."""
    scene.endpoint.responses = [BUSY._replace(retry_after=30.0)]
    scene.deliver(items(1))
    scene.pass_time(29)
    assert [] == scene.endpoint.accepted
    scene.pass_time(1)
    assert ["0"] == scene.endpoint.accepted


def test_a_busy_moment_is_not_reported(scene, items, capsys):
    """The next attempt succeeds."""
    scene.endpoint.responses = [BUSY]
    scene.deliver(items(1))
    scene.pass_time(2)
    assert (["0"], "") == (scene.endpoint.accepted, capsys.readouterr().err)


def test_an_endpoint_that_stays_busy_is_reported(scene, items, capsys):
    """The second failure in a row is worth a line."""
    scene.endpoint.responses = [BUSY, BUSY]
    scene.deliver(items(1))
    scene.pass_time(2)
    assert "status 503" in capsys.readouterr().err


@pytest.mark.slow
def test_an_outage_of_ten_minutes_loses_nothing(scene, items):
    """Not even of 50 spans a second, and memory holds none of them."""
    scene.endpoint.default_response = DOWN
    for second in range(600):
        scene.deliver(items(50, first=second * 50))
        scene.pass_time(1)
    gc.collect()
    assert not scene.manager._held
    scene.endpoint.default_response = ACCEPTED
    scene.pass_time(MAX_DELAY)
    assert list(map(str, range(30_000))) == scene.endpoint.accepted
    assert ((30_000, 0, 0, 0), 0) == (scene.counts, scene.count_waiting())


def test_endpoints_that_do_not_answer_are_named_at_the_end(scene, items, capsys):
    """No line has named a busy one before."""
    scene.endpoint.default_response = BUSY
    scene.deliver(items(1))
    scene.manager.warn_waiting()
    assert f"cannot deliver to {URL}: status 503" in capsys.readouterr().err


def test_an_endpoint_is_known_to_be_down_once_its_items_are_stored(scene, items, monkeypatch):
    """The end of the process waits for the second only, and has to name the endpoint."""
    failed = []

    @contextlib.contextmanager
    def committing():
        yield
        failed.append([retry.reason for retry in scene.manager.schedule.find_failed()])

    monkeypatch.setattr(scene.manager, "_committing", committing())
    scene.endpoint.default_response = DOWN
    scene.deliver(items(1))
    assert [["Connection refused"]] == failed


# items that an endpoint does not want


def test_refused_items_stay_in_the_store(scene, items, capsys):
    """They are not sent again by themselves, and a line says how to send them."""
    scene.endpoint.responses = [ExportResponse(ExportResult.REFUSED, "status 401", 401)]
    scene.deliver(items(2))
    scene.pass_time(1000)
    assert ((0, 2, 0, 0), 1, 0) == (scene.counts, scene.endpoint.requests, scene.count_waiting())
    assert "lupis flush" in capsys.readouterr().err


def test_a_refusal_is_reported_once(scene, items, capsys):
    """For each endpoint and status, however often it refuses."""
    for number in (404, 404, 401):
        refused = ExportResponse(
            ExportResult.REFUSED, f"status {number}: {scene.clock.now}", number
        )
        scene.endpoint.responses = [refused]
        scene.deliver(items(1))
        scene.pass_time(1)
    lines = capsys.readouterr().err.splitlines()
    assert [True, True] == ["`lupis flush --to URL`" in line for line in lines]


def test_items_that_a_former_path_has_refused_are_sent(scene, items):
    """The user has mended the path of the address."""
    former = scene.destination.target._replace(url=f"{URL}x", display_url=f"{URL}x")
    scene.store.add_items(items(1, first=7), former, refused=True)
    scene.deliver(items(1))
    scene.pass_time(1)
    assert ["0", "7"] == scene.endpoint.accepted


@pytest.fixture
def make_events_scene(store, target_of):
    """Makes a scene whose endpoint, for events, takes none; all scenes have one store."""

    def make():
        scene = Scene(store, target_of("http://127.0.0.1:1/v1/logs", "logs"))
        scene.endpoint.default_response = ExportResponse(ExportResult.REFUSED, "status 404", 404)
        return scene

    return make


def encode_event():
    """Returns an encoded event."""
    event = {"timestamp": 1, "name": "e", "properties": {}, "metadata": {}}
    return ItemEncoder(Resource({})).encode_events([event])


def test_an_endpoint_that_takes_no_events_is_asked_once(make_events_scene, capsys):
    """In this process and in later ones; the events stay in the store."""
    first, second = make_events_scene(), make_events_scene()
    for scene in (first, first, second):
        scene.deliver(encode_event())
    assert [1, 0] == [first.endpoint.requests, second.endpoint.requests]
    assert [2, 1] == [first.account.stored, second.account.stored]
    (line,) = capsys.readouterr().err.splitlines()
    assert "/v1/logs takes no events (status 404)" in line
    assert [0] == [waiting + refused for _, waiting, refused in first.store.list_targets()]


def test_rejected_items_of_an_accepted_request_are_counted(scene, items, capsys):
    """The line repeats the endpoint's reason."""
    scene.endpoint.responses = [ACCEPTED._replace(reason="too old", rejected=2)]
    scene.deliver(items(5))
    assert ((3, 0, 2, 0), {"rejected by the endpoint": 2}) == (scene.counts, scene.account.dropped)
    assert "rejected 2 spans or events: too old" in capsys.readouterr().err


def test_rejected_items_from_the_store_are_counted(scene, items):
    """They are stored no more."""
    scene.endpoint.responses = [DOWN, ACCEPTED._replace(reason="too old", rejected=2)]
    scene.deliver(items(5))
    scene.pass_time(2)
    assert ((3, 0, 2, 0), {"rejected by the endpoint": 2}) == (scene.counts, scene.account.dropped)


def test_items_that_are_refused_from_the_store_stay_stored(scene, items):
    """They wait no more."""
    scene.endpoint.responses = [DOWN, ExportResponse(ExportResult.REFUSED, "status 401", 401)]
    scene.deliver(items(5))
    scene.pass_time(2)
    assert ((0, 5, 0, 0), 0) == (scene.counts, scene.count_waiting())


# other processes


def test_items_of_other_processes_are_sent_too(scene, items, tmp_path):
    """They are sent after the first success, and stay on the account of their process."""
    other = Store(str(tmp_path / "data"), 1 << 24, Process("shop", "r", 1))
    other.add_items(items(3, first=100), scene.destination.target)
    other.database.close()
    scene.deliver(items(1))
    scene.pass_time(1)
    assert (["0", "100", "101", "102"], (1, 0, 0, 0)) == (scene.endpoint.accepted, scene.counts)


def test_stored_items_wait_while_another_process_sends(scene, items):
    """New items go out all the same."""
    scene.endpoint.responses = [DOWN]
    scene.deliver(items(1))
    scene.store.acquire_lease(scene.destination.target, "another")
    scene.pass_time(3)
    scene.deliver(items(1, first=1))
    assert ["1"] == scene.endpoint.accepted
    scene.store.release_lease(scene.destination.target, "another")
    scene.pass_time(10)
    assert ["1", "0"] == scene.endpoint.accepted


def test_the_lease_is_given_back_when_the_end_interrupts_a_retry(scene, items):
    """Another process can send the same items at once."""
    target = scene.destination.target
    scene.endpoint.responses = [DOWN]
    scene.deliver(items(1))
    leased = []

    def send_request(*_, **__):
        scene.manager.release_lease()
        leased.append(scene.store.acquire_lease(target, "another"))
        return ACCEPTED

    scene.endpoint.send_request = send_request
    scene.pass_time(2)
    assert [True] == leased


# the end of the process


def test_requests_are_limited_by_the_time_that_is_left(scene, items):
    """A request that begins at the very end still gets a moment."""
    scene.deliver(items(1))
    scene.manager.due = scene.clock.now + 3
    scene.deliver(items(1, first=1))
    scene.manager.due = scene.clock.now - 1
    scene.deliver(items(1, first=2))
    assert [None, 3, 0.05] == scene.endpoint.max_seconds


def test_a_busy_endpoint_gets_another_chance_before_the_end(scene, items):
    """The process waits for this retry."""
    scene.manager.due = scene.clock.now + 3
    scene.endpoint.responses = [BUSY._replace(retry_after=1.0)]
    scene.deliver(items(1))
    assert scene.manager.schedule.has_required()


def test_an_endpoint_that_is_down_gets_no_other_chance_at_the_end(scene, items):
    """The process does not wait for it."""
    scene.manager.due = scene.clock.now + 3
    scene.endpoint.responses = [DOWN]
    scene.deliver(items(1))
    assert not scene.manager.schedule.has_required()


def test_a_paused_manager_leaves_stored_items_for_later(scene, items):
    """A fork does not wait for them."""
    scene.endpoint.responses = [DOWN]
    scene.deliver(items(1))
    scene.manager.paused = True
    scene.clock.now += 2
    scene.manager.run_due_retry()
    assert ([], 0) == (scene.endpoint.accepted, scene.manager.schedule.seconds_until_next())
    scene.manager.paused = False
    scene.pass_time(1)
    assert ["0"] == scene.endpoint.accepted


def test_nothing_is_recorded_for_items_that_were_taken_back(scene, items):
    """The worker has stored them meanwhile."""
    scene.deliver(items(2), take=lambda _: False)
    assert (0, 0, 0, 2) == scene.counts


def test_items_are_lost_when_recording_their_outcome_fails(scene, items):
    """They are counted, and the error goes on to the worker."""
    with pytest.raises(ZeroDivisionError):
        scene.manager.commit_items(lambda _: True, items(2), lambda _: 1 / 0)
    assert {"fault": 2} == scene.account.dropped


def test_waiting_for_a_commit_lets_it_finish(scene, items):
    """Another thread is storing the items."""
    entered, released, steps = threading.Event(), threading.Event(), []

    def record(_):
        entered.set()
        released.wait(60)
        steps.append("recorded")

    thread = threading.Thread(
        target=scene.manager.commit_items, args=(lambda _: True, items(1), record)
    )
    thread.start()
    entered.wait(60)
    threading.Timer(0.05, released.set).start()
    scene.manager.wait_for_commit()
    steps.append("waited")
    thread.join()
    assert ["recorded", "waited"] == steps


# a store that cannot be used


@pytest.fixture
def storeless(tmp_path, target_of):
    """A retry manager whose store can never be opened: its folder is below a file."""
    (tmp_path / "file").write_text("")
    store = Store(str(tmp_path / "file" / "x"), 1 << 24, Process("shop", "r", 1))
    return Scene(store, target_of(URL))


def test_without_a_store_items_wait_in_memory(storeless, items):
    """They are sent when the endpoint answers."""
    storeless.endpoint.responses = [DOWN, DOWN]
    storeless.deliver(items(3))
    storeless.deliver(items(3, first=3))
    assert storeless.manager.is_blocked()
    storeless.pass_time(10)
    assert ((6, 0, 0, 0), list("012345")) == (storeless.counts, storeless.endpoint.accepted)


@pytest.mark.parametrize("response", [BUSY, DOWN])
def test_at_the_end_held_items_are_sent_until_the_time_is_over(response, storeless, items):
    """They would be lost; the process waits for each attempt."""
    storeless.manager.begin_end(storeless.clock.now + 2)
    storeless.endpoint.responses = [response] * 4
    storeless.deliver(items(2))
    assert storeless.manager.schedule.has_required()
    storeless.pass_time(1.9)
    assert ((2, 0, 0, 0), ["0", "1"]) == (storeless.counts, storeless.endpoint.accepted)
    assert not storeless.manager.schedule.has_required()


def test_the_end_sends_items_that_were_held_before(storeless, items):
    """Their retry would have come later."""
    storeless.endpoint.responses = [BUSY._replace(retry_after=60.0)]
    storeless.deliver(items(2))
    storeless.manager.begin_end(storeless.clock.now + 2)
    storeless.pass_time(0)
    assert (2, 0, 0, 0) == storeless.counts


def test_new_items_for_an_endpoint_that_is_down_are_sent_at_the_end(storeless, items):
    """They are held like the items before them."""
    storeless.endpoint.responses = [DOWN._replace(retry_after=60.0)]
    storeless.deliver(items(1))
    storeless.manager.due = storeless.clock.now + 2
    storeless.deliver(items(1, first=1))
    assert storeless.manager.schedule.has_required()
    storeless.pass_time(0)
    assert (2, 0, 0, 0) == storeless.counts


def test_the_warning_says_that_items_wait_in_memory(storeless, items, capsys):
    """There is no store."""
    storeless.endpoint.responses = [DOWN]
    storeless.deliver(items(1))
    assert "events wait in memory until it answers" in capsys.readouterr().err


def test_memory_is_bounded(storeless, items, monkeypatch):
    """The oldest items are dropped first, and counted."""
    monkeypatch.setattr(held_items, "MAX_HELD_BYTES", 10_000)
    storeless.endpoint.default_response = DOWN
    for first in range(20):
        storeless.deliver(items(1, first=first, size=1000))
    delivered, stored, lost, pending = storeless.counts
    assert (0, 0, 20) == (delivered, stored, lost + pending)
    assert 7 <= pending <= 10
    assert not storeless.manager.drop_held()
    assert {"no store": 20} == storeless.account.dropped


def test_held_items_are_stored_as_soon_as_possible(scene, items, monkeypatch):
    """A locked file becomes free again."""
    add_items = scene.store.add_items

    def locked(*_, **__):
        raise StoreUnavailable("locked")

    monkeypatch.setattr(scene.store, "add_items", locked)
    scene.deliver(items(2), to_store=True)
    monkeypatch.setattr(scene.store, "add_items", add_items)
    scene.deliver(items(2, first=2), to_store=True)
    assert (0, 4, 0, 0) == scene.counts
