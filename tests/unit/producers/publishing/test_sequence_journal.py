"""A producer's journal: what a start knows of the one before."""

from producers.publishing.sequence_journal import SequenceJournal, next_epoch_id


def test_a_start_knows_what_the_one_before_numbered_even_when_it_was_not_closed(tmp_path):
    first = SequenceJournal(tmp_path / "p.db")
    first.record("h", "thermal", 0)
    first.record("h", "thermal", 1)
    second = SequenceJournal(tmp_path / "p.db")

    assert (first.epoch, 1) == second.last("h", "thermal")
    assert second.last("h", "power") is None
    assert second.epoch > first.epoch


def test_an_epoch_sorts_after_the_last_even_when_the_clock_was_set_back():
    last = next_epoch_id(None, 5_000_000)

    assert next_epoch_id(last, 1_000) > last


def test_two_starts_in_one_millisecond_differ():
    assert next_epoch_id(None, 1) != next_epoch_id(None, 1)


def test_an_epoch_taken_over_sorts_after_the_other_producers_whatever_its_clock_said(tmp_path):
    journal = SequenceJournal(tmp_path / "p.db")
    ahead = next_epoch_id(None, 2**43)
    taken = journal.start_epoch(ahead)

    assert taken > ahead > journal.epoch
    assert journal.start_epoch() > taken
    assert SequenceJournal(tmp_path / "p.db").epoch > taken


def test_a_number_is_of_the_epoch_of_its_target(tmp_path):
    journal = SequenceJournal(tmp_path / "p.db")
    taken = journal.start_epoch()
    journal.record("h", "thermal", 7, taken)

    assert (taken, 7) == journal.last("h", "thermal")
