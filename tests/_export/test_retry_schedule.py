"""Each endpoint has one time at which its stored items are sent next."""

import pytest

from lupis_instrument._export.otlp.destinations import Destination
from lupis_instrument._export.retry_schedule import (
    MAX_DELAY,
    RetrySchedule,
    ScheduledRetry,
    choose_delay,
)

NOW = 1000.0


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """The clock of the schedule."""
    return Clock()


@pytest.fixture
def schedule(clock):
    """A schedule without retries."""
    return RetrySchedule(clock)


@pytest.fixture
def destination(target_of):
    """The endpoint of most tests."""
    return Destination(target_of("http://127.0.0.1:1/v1/traces"), {})


@pytest.fixture
def other_destination(target_of):
    """Another endpoint beside it."""
    return Destination(target_of("http://127.0.0.1:2/v1/traces"), {})


def test_an_empty_schedule_has_nothing_due(schedule):
    """Its thread may end."""
    assert (None, None, False) == (
        schedule.seconds_until_next(),
        schedule.begin_due(),
        schedule.has_required(),
    )


def test_the_next_retry_is_the_earliest(schedule, destination, other_destination):
    """Its time counts for the wait of the thread."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 9))
    schedule.add_retry(ScheduledRetry(other_destination, NOW + 4))
    assert 4 == schedule.seconds_until_next()


def test_an_overdue_retry_is_due_in_no_time(schedule, destination):
    """The wait is never negative."""
    schedule.add_retry(ScheduledRetry(destination, NOW - 9))
    assert 0 == schedule.seconds_until_next()


def test_an_endpoint_has_one_retry(schedule, destination):
    """A new one takes the place of the old one."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 1))
    schedule.add_retry(ScheduledRetry(destination, NOW + 5))
    assert 5 == schedule.seconds_until_next()


def test_expected_items_wait_for_company(schedule, clock, destination):
    """Items that are stored one after the other share a request."""
    schedule.expect_items(destination)
    first = schedule.seconds_until_next()
    clock.now += 0.1
    schedule.expect_items(destination)
    assert 0 < schedule.seconds_until_next() < first


def test_expected_items_do_not_hasten_a_retry(schedule, destination):
    """An endpoint that is down is left alone for its time."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 30, attempts=3))
    schedule.expect_items(destination)
    assert 30 == schedule.seconds_until_next()


def test_items_expected_during_a_retry_get_another(schedule, destination):
    """The current one may have read the store before they were in it."""
    schedule.add_retry(ScheduledRetry(destination, NOW))
    schedule.begin_due()
    schedule.expect_items(destination)
    schedule.finish_current()
    assert schedule.has_required()


def test_a_due_retry_is_postponed_while_it_runs(schedule, destination):
    """If an error ends it, it runs again later."""
    retry = ScheduledRetry(destination, NOW, required=True)
    schedule.add_retry(retry)
    assert retry == schedule.begin_due()
    assert (MAX_DELAY, False) == (schedule.seconds_until_next(), schedule.has_required())


def test_a_finished_retry_is_removed(schedule, destination):
    """Nothing waits for the endpoint any more."""
    schedule.add_retry(ScheduledRetry(destination, NOW))
    schedule.begin_due()
    schedule.finish_current()
    assert None is schedule.seconds_until_next()


def test_required_retries_become_due_at_the_end(schedule, destination, other_destination):
    """The process does not wait for the other ones."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 9, required=True))
    schedule.add_retry(ScheduledRetry(other_destination, NOW + 4))
    schedule.make_due()
    assert destination == schedule.begin_due().destination
    assert 4 == schedule.seconds_until_next()


def test_a_flush_makes_all_retries_due_and_required(schedule, destination):
    """It waits for them."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 9))
    schedule.make_due(all_retries=True)
    assert (0, True) == (schedule.seconds_until_next(), schedule.has_required())


@pytest.mark.parametrize(("attempts", "down"), [(0, False), (1, True)])
def test_an_endpoint_is_down_after_a_failed_attempt(schedule, destination, attempts, down):
    """Its items go straight to the store."""
    schedule.add_retry(ScheduledRetry(destination, NOW + 9, attempts))
    assert (down, down) == (schedule.is_down(destination.target), bool(schedule.find_failed()))


def test_an_unknown_endpoint_is_not_down(schedule, destination):
    """Nothing was sent to it yet."""
    assert not schedule.is_down(destination.target)


def test_a_forked_child_has_no_retries(schedule, destination):
    """They belong to the parent."""
    schedule.add_retry(ScheduledRetry(destination, NOW))
    schedule.reset()
    assert None is schedule.seconds_until_next()


@pytest.mark.parametrize(("attempts", "longest"), [(0, 1), (1, 2), (4, 16), (6, 60), (500, 60)])
def test_delays_double_up_to_a_minute(attempts, longest):
    """Chance shortens each by up to a half."""
    delays = {choose_delay(attempts) for _ in range(50)}
    assert longest / 2 <= min(delays) < max(delays) <= longest
