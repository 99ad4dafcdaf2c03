"""A producer's journal: what a start knows of the one before."""

from producers.publishing.sequence_journal import Journal, new_epoch


def test_a_start_knows_what_the_one_before_numbered_even_when_it_was_not_closed(tmp_path):
    first = Journal(tmp_path / "p.db")
    first.number("h", "thermal", 0)
    first.number("h", "thermal", 1)
    second = Journal(tmp_path / "p.db")

    assert (first.epoch, 1) == second.last("h", "thermal")
    assert second.last("h", "power") is None
    assert second.epoch > first.epoch


def test_an_epoch_sorts_after_the_last_even_when_the_clock_was_set_back():
    last = new_epoch(None, 5_000_000)

    assert new_epoch(last, 1_000) > last


def test_two_starts_in_one_millisecond_differ():
    assert new_epoch(None, 1) != new_epoch(None, 1)


def test_an_epoch_taken_over_sorts_after_the_other_producers_whatever_its_clock_said(tmp_path):
    journal = Journal(tmp_path / "p.db")
    ahead = new_epoch(None, 2**43)
    taken = journal.begin(ahead)

    assert taken > ahead > journal.epoch
    assert journal.begin() > taken
    assert Journal(tmp_path / "p.db").epoch > taken


def test_a_number_is_of_the_epoch_of_its_target(tmp_path):
    journal = Journal(tmp_path / "p.db")
    taken = journal.begin()
    journal.number("h", "thermal", 7, taken)

    assert (taken, 7) == journal.last("h", "thermal")
