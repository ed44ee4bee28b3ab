"""rooms/rtp/jitter_buffer.py: the order of RTP packets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from roomtape.rooms.rtp.jitter_buffer import MAX_HELD, MAX_WAIT_NS, JitterBuffer, Ordered

STEP = 960
PACKET_NS = 20_000_000


def push_all(order: JitterBuffer[int], numbers: list[int], *, first: int = 0) -> list[Ordered[int]]:
    """Push packets ``numbers``, 20 ms apart, giving up in time, as the room does."""
    passed = []
    for turn, number in enumerate(numbers):
        now_ns = turn * PACKET_NS
        passed += order.expire(now_ns)
        sequence, timestamp = (first + number) % 2**16, (first + number) * STEP % 2**32
        passed += order.push(sequence, timestamp, number, now_ns)
    return passed


def contents(passed: list[Ordered[int]]) -> list[int]:
    return [packet.content for packet in passed]


def test_packets_in_order_pass_at_once() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    for number in range(100):
        assert contents(order.push(number, number * STEP, number, 0)) == [number]
        assert order.deadline_ns is None


def test_swapped_packets_pass_in_order() -> None:
    assert contents(push_all(JitterBuffer(), [0, 2, 1, 3])) == [0, 1, 2, 3]


def test_the_very_first_packets_may_be_swapped_too() -> None:
    passed = push_all(JitterBuffer(), [1, 0, 2])
    assert sorted(contents(passed)) == [0, 1, 2]
    assert [packet.pts - passed[0].pts for packet in passed] == [0, -STEP, STEP]


def test_after_a_loss_nothing_waits_longer_than_the_limit() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    order.push(0, 0, 0, 0)
    assert order.push(2, 2 * STEP, 2, 1000) == []
    assert order.deadline_ns == 1000 + MAX_WAIT_NS
    assert order.expire(order.deadline_ns - 1) == []
    assert contents(order.expire(order.deadline_ns)) == [2]
    assert order.deadline_ns is None


def test_a_second_hole_gets_a_wait_of_its_own() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    for number, now_ns in ((0, 0), (2, 10), (4, 20)):
        order.push(number, number * STEP, number, now_ns)
    assert contents(order.push(1, STEP, 1, 30)) == [1, 2]
    assert order.deadline_ns == 20 + MAX_WAIT_NS


def test_after_a_loss_no_more_packets_wait_than_the_limit() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    order.push(0, 0, 0, 0)
    passed = []
    for number in range(2, 2 + MAX_HELD):
        passed += order.push(number, number * STEP, number, 0)
    assert contents(passed) == list(range(2, 2 + MAX_HELD))


def test_a_burst_of_losses_leaves_no_standing_delay() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    numbers = [0, *range(100, 120)]
    assert contents(push_all(order, numbers)) == numbers
    assert contents(order.push(120, 120 * STEP, 120, 10**12)) == [120]


def test_what_comes_too_late_is_passed_on_out_of_order_and_counted() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    numbers = [0, *range(2, 10), 1, 10]
    assert sorted(contents(push_all(order, numbers))) == list(range(11))
    assert order.late == 1


def test_duplicates_are_dropped_and_counted() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    assert contents(push_all(order, [0, 1, 1, 3, 3, 2, 0])) == [0, 1, 2, 3]
    assert order.duplicates == 3


def test_sequence_numbers_and_timestamps_wrap_without_a_trace() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    first = 2**32 // STEP - 50
    passed = push_all(order, list(range(100)), first=first)
    assert contents(passed) == list(range(100))
    assert {later.pts - earlier.pts for earlier, later in itertools.pairwise(passed)} == {STEP}


def test_a_step_back_in_time_is_not_taken_for_a_wrap() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    order.push(0, 48000, 0, 0)
    (packet,) = order.push(1, 47000, 1, 0)
    assert packet.pts == 47000
    (packet,) = order.push(2, 48960, 2, 0)
    assert packet.pts == 48960


def test_a_pause_of_the_sender_is_told_from_a_loss() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    order.push(7, 0, 0, 0)
    (after_pause,) = order.push(8, 480000, 1, 0)
    assert after_pause.contiguous
    order.push(10, 960000, 2, 0)
    (after_loss,) = order.expire(MAX_WAIT_NS)
    assert not after_loss.contiguous


def test_a_new_numbering_goes_on_at_once() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    push_all(order, [0, 1, 2])
    assert contents(order.push(30000, 5, 3, 0)) == [3]
    assert contents(order.push(30001, 5 + STEP, 4, 0)) == [4]
    assert order.restarts == 1


def test_the_end_lets_everything_pass() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    push_all(order, [0, 2, 4])
    assert contents(order.flush()) == [2, 4]
    assert order.deadline_ns is None


@given(
    arrivals=st.lists(st.integers(0, 60), max_size=60, unique=True).flatmap(
        lambda kept: st.tuples(
            st.just(kept), st.lists(st.floats(0, 12), min_size=len(kept), max_size=len(kept))
        )
    ),
    first=st.integers(0, 2**33),
)
def test_everything_that_arrives_passes_once_with_its_own_time(
    arrivals: tuple[list[int], list[float]], first: int
) -> None:
    kept, jitters = arrivals
    # A constant first packet anchors the numbers.
    numbers = [0] + [
        number + 1
        for _, number in sorted(
            (number + jitter, number) for number, jitter in zip(kept, jitters, strict=True)
        )
    ]
    order: JitterBuffer[int] = JitterBuffer()
    passed = push_all(order, numbers, first=first)
    passed += order.flush()
    assert sorted(contents(passed)) == sorted(numbers)
    start = passed[contents(passed).index(0)].pts
    assert all(packet.pts - start == packet.content * STEP for packet in passed)
    assert order.duplicates == order.restarts == 0


@given(st.lists(st.integers(0, 30), max_size=80))
def test_nothing_is_held_beyond_its_deadline(numbers: list[int]) -> None:
    order: JitterBuffer[int] = JitterBuffer()
    push_all(order, numbers)
    if order.deadline_ns is not None:
        assert order.deadline_ns <= len(numbers) * PACKET_NS + MAX_WAIT_NS
        while order.deadline_ns is not None:
            assert order.expire(order.deadline_ns)
    assert order.flush() == []
