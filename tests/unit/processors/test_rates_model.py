"""Rates against a machine that is known: whatever happens to it or its records, a rate is right or there is none."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors import vms
from processors.engine.partition import Partition
from processors.testing import run_step
from schemas import catalog
from schemas.testing import START_TIME, make_raw_record, make_record

WRAP = 100_000
"""Small, so that it wraps."""
PER_S = 1000
"""What the machine's counter really moves by."""

EVENTS = ["restart", "reset", "reuse", "producer", "away", "unplug", "lost", "gap", "clock"]
events = st.lists(
    st.tuples(
        st.sampled_from(["poll"] * 8 + EVENTS),
        st.integers(1, 40),
    ),
    min_size=2,
    max_size=30,
)  # fmt: skip


def history(made, wrap=WRAP):
    """The records of a VM to which this happens, and the moments between which its counter was one counter."""
    at_s, clock_s, value, run, epoch, sequence, broken = 0, 0, 0, 1, 0, 0, []
    records = []
    for what, elapsed_s in made:
        at_s, clock_s, value = at_s + elapsed_s, clock_s + elapsed_s, value + PER_S * elapsed_s
        if what == "restart":  # shut down and started, or migrated away and back: a new id, counters from 0
            run, value = run + 1, 0
        elif what == "reset":
            value = 0
        elif what == "reuse":  # another VM under the UUID
            run, value = run + 1, 77
        elif what == "producer":
            epoch, sequence = epoch + 1, 0
        elif what == "gap":
            at_s, clock_s, value = at_s + 301, clock_s + 301, value + PER_S * 301
        elif what == "clock":
            clock_s -= 3600
        value %= wrap
        if what in ("restart", "reset", "reuse"):
            broken.append(at_s)
        devices = [] if what == "unplug" else [make_record("DomainNic", device="tap0", rxbytes=value)]
        domain = make_record("Domain", uuid="u", domain_id=run, state=1, cputime=value, nics=devices)
        record = make_raw_record(
            "LibvirtSample", at_s=0, sequence=sequence, epoch=f"{epoch}", monotonic_s=500.0 + at_s,
            domains=[] if what == "away" else [domain],
        )  # fmt: skip
        record["observed_at"] = START_TIME.fromtimestamp(START_TIME.timestamp() + clock_s, START_TIME.tzinfo)
        sequence += 1
        if what != "lost":
            records.append(record)
    return records


def rates_of(records):
    """(rate of the VM, rate of its NIC, interval) per record that has them."""
    for outputs in run_step(vms.STEP, records):
        for features in outputs.get("vm-features", ()):
            yield from ((vm["cputime_rate"], vm["interval_s"]) for vm in features["vms"])
        for devices in outputs.get("device-rates", ()):
            yield from ((nic["rxbytes_rate"], nic["interval_s"]) for nic in devices["devices"])


@settings(max_examples=200)
@given(events)
def test_a_rate_is_the_true_one_or_there_is_none(made):
    for rate, interval_s in rates_of(history(made)):
        # After a reset within one run the counter may have passed its old value: that cannot be seen, and is no more
        # than what has really been counted since.
        assert rate is None or 0 <= rate <= PER_S * (1 + 1e-9)
        assert 0 < interval_s <= 300


@settings(max_examples=100)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=20))
def test_a_steady_counter_has_its_rate_at_every_sample_but_the_first(elapsed):
    found = list(rates_of(history([("poll", each) for each in elapsed], wrap=2**63)))

    assert len(found) == 2 * (len(elapsed) - 1)
    assert all(abs(rate - PER_S) < 1e-6 for rate, _ in found)


@settings(max_examples=100)
@given(events, st.randoms(use_true_random=False))
def test_late_and_repeated_records_change_nothing(made, random):
    records = history(made)
    shuffled = list(records)
    for _ in range(5):
        if records:
            at = random.randrange(len(shuffled) + 1)
            # A record of which a later one has been stepped, or itself, comes again.
            earlier = shuffled[:at]
            if earlier:
                shuffled.insert(at, random.choice(earlier))

    assert list(rates_of(records)) == list(rates_of(shuffled))


@settings(max_examples=60)
@given(events)
def test_the_same_input_twice_gives_the_same_bytes(made):
    records = history(made)
    once, again = ([output.value for output in _outputs(records)] for _ in range(2))

    assert once == again


def _outputs(records):
    partition = Partition(catalog.load(), [vms.STEP])
    return [output for record in records for output in partition.apply(record).outputs]


def test_each_thing_that_can_happen_does_happen_here():
    """The histories above are no idle ones: a reset, a restart and an unplugged device each cost a rate."""
    steady = len(list(rates_of(history([("poll", 1)] * 6))))
    for what in ("restart", "reuse", "producer", "gap", "unplug", "away", "lost"):
        found = list(rates_of(history([("poll", 1)] * 3 + [(what, 1)] + [("poll", 1)] * 2)))
        assert len([rate for rate, _ in found if rate is not None]) < steady, what
    assert [None] == [rate for rate, _ in rates_of(history([("poll", 40)] * 4)) if rate is None][:1], "a wrap"
