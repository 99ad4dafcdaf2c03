"""Whether a shared producer may poll: not after a pause in which the group may have given its targets away."""

from producers.shared_targets.poll_gate import FRESH_S, PROOF_S, Gate


def looked(gate, begin_s, end_s):
    for tick in range(int(begin_s * 10), int(end_s * 10) + 1):
        gate.seen(tick / 10)


def test_nothing_is_polled_before_the_group_has_said_what_is_ours():
    gate = Gate()
    gate.seen(0.0)
    assert not gate.is_open(0.1)

    gate.confirmed()
    assert gate.is_open(0.1)


def test_a_membership_that_nobody_looks_at_closes_the_gate():
    gate = Gate()
    looked(gate, 0, 1)
    gate.confirmed()

    assert gate.is_open(1 + FRESH_S - 0.1)
    assert not gate.is_open(1 + FRESH_S)


def test_after_a_pause_it_opens_when_a_heartbeat_must_have_been_answered():
    gate = Gate()
    looked(gate, 0, 1)
    gate.confirmed()
    assert not gate.seen(21.0)  # frozen for 20 s
    looked(gate, 21.1, 21 + PROOF_S - 0.2)

    assert not gate.is_open(21 + PROOF_S - 0.1)
    looked(gate, 21 + PROOF_S - 0.1, 21 + PROOF_S)
    assert gate.is_open(21 + PROOF_S)
