"""Whether a shared producer may poll: not after a pause in which the group may have given its targets away."""

from producers.shared_targets.poll_gate import LEASE_S, PROBATION_S, MembershipLease


def looked(gate, begin_s, end_s):
    for tick in range(int(begin_s * 10), int(end_s * 10) + 1):
        gate.renew(tick / 10)


def test_nothing_is_polled_before_the_group_has_said_what_is_ours():
    gate = MembershipLease()
    gate.renew(0.0)
    assert not gate.allows_polls(0.1)

    gate.confirm()
    assert gate.allows_polls(0.1)


def test_a_membership_that_nobody_looks_at_closes_the_gate():
    gate = MembershipLease()
    looked(gate, 0, 1)
    gate.confirm()

    assert gate.allows_polls(1 + LEASE_S - 0.1)
    assert not gate.allows_polls(1 + LEASE_S)


def test_after_a_pause_it_opens_when_a_heartbeat_must_have_been_answered():
    gate = MembershipLease()
    looked(gate, 0, 1)
    gate.confirm()
    assert not gate.renew(21.0)  # frozen for 20 s
    looked(gate, 21.1, 21 + PROBATION_S - 0.2)

    assert not gate.allows_polls(21 + PROBATION_S - 0.1)
    looked(gate, 21 + PROBATION_S - 0.1, 21 + PROBATION_S)
    assert gate.allows_polls(21 + PROBATION_S)
