"""Which engines are given up, which are tried again, and when the whole job stops."""

from steper_ray.drive.foreman import Foreman, Rest, Start


def dead(foreman: Foreman, worker: str, times: int) -> Start:
    """What it is told after so many deaths."""
    for _ in range(times):
        start = foreman.begin(worker)
    return start


def test_an_engine_that_only_dies_is_retired_while_another_makes_progress_and_that_one_alone() -> None:
    foreman = Foreman(leases=40)
    for worker in ("a", "b"):
        foreman.begin(worker)
        foreman.ready(worker)
        foreman.take(worker, ord(worker))
    foreman.finish("a", ord("a"), progress=True)
    foreman.note("b", "no memory")
    assert dead(foreman, "b", 2) == Start(1, 2)
    foreman.note("b", "no memory")
    why = "engine 1 died 3 times in a row without progress; the last time: no memory"
    assert dead(foreman, "b", 1) == Start(1, 3, retired=why)
    assert foreman.why_stopped() == ""
    # The other one may die now and then.
    assert dead(foreman, "a", 2) == Start(0, 2)
    foreman.take("a", 7)
    foreman.finish("a", 7, progress=True)
    assert dead(foreman, "a", 3).stop.startswith("engine 0 died 3 times in a row without progress")


def test_engines_that_all_die_before_they_finish_anything_stop_the_job_with_the_first_to_be_given_up() -> None:
    foreman = Foreman()
    for worker in ("a", "b", "c"):
        foreman.begin(worker)
    dead(foreman, "b", 1)
    # Engine 2 is at its first start, and may do better.
    assert dead(foreman, "a", 3).retired
    dead(foreman, "c", 1)
    assert dead(foreman, "b", 2).stop.startswith("engine 1 died 3 times")


def test_an_engine_that_does_not_load_is_tried_again_while_another_works_or_may_yet() -> None:
    foreman = Foreman()
    assert not Foreman().refused("alone", "no memory")
    foreman.begin("a")
    foreman.begin("b")
    assert foreman.refused("b", "no memory")  # the other one is at its first start
    assert not foreman.refused("a", "no memory")  # all refuse: that is how it is
    foreman.begin("b")
    assert foreman.refused("b", "no memory")  # whatever has begun again goes on until its third death


def test_an_engine_that_never_loads_beside_one_that_works_is_retired_with_its_words() -> None:
    foreman = Foreman()
    foreman.begin("a")
    foreman.finish("a", 0, progress=True)
    for restarts in range(3):
        assert foreman.begin("b") == Start(1, restarts)
        assert foreman.refused("b", "no CUDA device")
    assert foreman.begin("b").retired.endswith("the last time: it did not start: no CUDA device")


def test_a_retired_engine_hands_its_leases_back_when_the_others_have_nothing_left() -> None:
    foreman = Foreman(leases=6)
    for worker in ("a", "b"):
        foreman.begin(worker)
        foreman.ready(worker)
    assert foreman.take("b", 0)
    assert foreman.take("a", 1)
    assert foreman.finish("a", 1, progress=True)  # four were never opened
    assert dead(foreman, "b", 3).retired
    foreman.take("b", 0)
    assert foreman.take("a", 2)
    assert foreman.rest("b") is Rest.WAIT
    foreman.finish("a", 2, progress=True)
    # Three were never opened; two of them may wait at the retired engine, but nobody takes the third.
    assert foreman.rest("b") is Rest.STOP
    foreman.take("a", 3)
    foreman.begin("a")
    assert foreman.rest("b") is Rest.WAIT  # it dies and comes back, with its lease
    foreman.ready("a")
    foreman.take("a", 3)
    assert foreman.finish("a", 3, progress=True)
    assert foreman.rest("b") is Rest.HAND_BACK
    foreman.take("b", 4)
    foreman.take("b", 5)
    assert foreman.rest("b") is Rest.HAND_BACK
    assert not foreman.finish("b", 5, progress=False)


def test_a_foreman_that_was_restarted_knows_who_is_retired_by_who_asks() -> None:
    foreman = Foreman()
    foreman.take("working", 5)
    assert foreman.rest("retired") is Rest.WAIT
    assert foreman.rest("working") is Rest.HAND_BACK
