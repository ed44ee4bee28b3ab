"""rooms/rtp/retransmission.py and jitter_buffer.py: what is asked for again, and when."""

from __future__ import annotations

from roomtape.rooms.rtp.jitter_buffer import MAX_ASKED_WAIT_NS, JitterBuffer
from roomtape.rooms.rtp.retransmission import MAX_ASKS, MAX_MISSING, MS_NS, REORDERING_NS

STEP = 960


def after_a_loss() -> JitterBuffer[int]:
    order: JitterBuffer[int] = JitterBuffer(asks=True)
    order.push(0, 0, 0, 0)
    assert order.push(2, 2 * STEP, 2, 0) == []
    return order


def test_what_is_missing_is_asked_for_when_reordering_is_excluded() -> None:
    order = after_a_loss()
    assert order.requests(0) == []
    assert order.deadline_ns == REORDERING_NS
    assert order.requests(REORDERING_NS) == [1]
    assert order.requests(REORDERING_NS) == []


def test_what_comes_back_passes_in_order_and_says_so() -> None:
    order = after_a_loss()
    order.requests(REORDERING_NS)
    passed = order.push(1, STEP, 1, 70 * MS_NS)
    assert [(each.content, each.contiguous, each.resent) for each in passed] == [
        (1, True, True),
        (2, True, False),
    ]
    assert order.deadline_ns is None


def test_what_was_only_out_of_order_did_not_come_back() -> None:
    order = after_a_loss()
    assert not any(each.resent for each in order.push(1, STEP, 1, 5 * MS_NS))


def test_it_is_asked_for_again_a_few_times_and_then_given_up() -> None:
    order, asked, passed = after_a_loss(), [], []
    while order.deadline_ns is not None:
        now_ns = order.deadline_ns
        passed += order.expire(now_ns)
        asked += [now_ns] * len(order.requests(now_ns))
    assert 2 <= len(asked) <= MAX_ASKS
    assert asked == sorted(set(asked))
    assert now_ns == MAX_ASKED_WAIT_NS
    assert [(each.content, each.after_loss) for each in passed] == [(2, True)]


def test_a_short_round_trip_is_learnt_and_asked_by() -> None:
    order: JitterBuffer[int] = JitterBuffer(asks=True)
    now_ns = 0
    for number in range(0, 60, 2):
        now_ns += 40 * MS_NS
        order.push(number, number * STEP, number, now_ns)
        now_ns += REORDERING_NS
        for asked in order.requests(now_ns):
            order.push(asked, asked * STEP, asked, now_ns + 30 * MS_NS)
        now_ns += 30 * MS_NS
    order.push(61, 61 * STEP, 61, now_ns)
    asked_ns = []
    while order.deadline_ns is not None:
        asked_ns += [order.deadline_ns] * len(order.requests(order.deadline_ns))
        order.expire(order.deadline_ns or 0)
    assert len(asked_ns) >= 4


def test_of_an_outage_only_what_can_still_come_in_time_is_asked_for() -> None:
    order: JitterBuffer[int] = JitterBuffer(asks=True)
    order.push(0, 0, 0, 0)
    order.push(101, 101 * STEP, 101, 0)
    asked = order.requests(REORDERING_NS)
    assert asked == list(range(101 - len(asked), 101))
    assert 10 <= len(asked) <= 16


def test_sequence_numbers_that_wrap_are_asked_for_as_they_were_sent() -> None:
    order: JitterBuffer[int] = JitterBuffer(asks=True)
    order.push(65534, 0, 0, 0)
    order.push(2, 4 * STEP, 4, 0)
    assert order.requests(REORDERING_NS) == [65535, 0, 1]


def test_who_answers_not_is_not_asked() -> None:
    order: JitterBuffer[int] = JitterBuffer()
    order.push(0, 0, 0, 0)
    order.push(2, 2 * STEP, 2, 0)
    assert order.requests(10**9) == []


def test_what_is_missing_is_bounded() -> None:
    order: JitterBuffer[int] = JitterBuffer(asks=True)
    for number in range(0, 4000, 40):
        order.push(number % 65536, number * STEP, number, 0)
    assert len(order.requests(REORDERING_NS)) <= MAX_MISSING
