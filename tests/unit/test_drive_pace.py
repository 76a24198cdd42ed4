"""How many questions an engine gets, how its use is measured, and when a run is given up."""

import asyncio
import time
from dataclasses import replace

import pytest

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.core.types import Passage, Prompt, Question, Step, Trajectory, Usage
from steper_ray.drive.foreman import Foreman, Start
from steper_ray.drive.load import Load, LoadMeter, Room, most_in_flight
from steper_ray.drive.progress import LoopProgress
from steper_ray.drive.query_cache import QueryCache
from steper_ray.drive.slots import Slots
from steper_ray.drive.starvation import Lately, Waits
from steper_ray.drive.stats import LoopStats
from steper_ray.drive.worker import engine_seed
from steper_ray.errors import BackendError

REQUEST = Request(Prompt(()), (), 1)


def trajectory(*tokens: tuple[int, int]) -> Trajectory:
    """One whose steps have these prompt and completion tokens."""
    steps = tuple(Step("", (), (), usage=Usage(prompt, 0, written)) for prompt, written in tokens)
    return Trajectory(Question("q", "Who?"), steps=steps)


async def test_no_more_than_the_size_hold_a_slot_and_the_next_enters_when_one_leaves() -> None:
    slots, inside, most = Slots(2), 0, 0

    async def hold() -> None:
        nonlocal inside, most
        async with slots:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(hold() for _ in range(7)))
    assert (inside, most) == (0, 2)
    assert not slots.full


async def test_a_larger_size_admits_those_who_wait_and_a_smaller_one_only_keeps_newcomers_out() -> None:
    slots, release = Slots(1), asyncio.Event()
    entered: list[int] = []

    async def hold(number: int) -> None:
        async with slots:
            entered.append(number)
            await release.wait()

    tasks = [asyncio.create_task(hold(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert entered == [0]
    assert slots.full
    slots.resize(3)
    await asyncio.sleep(0)
    assert entered == [0, 1, 2]
    slots.resize(0)
    assert slots.size == 1
    release.set()
    await asyncio.gather(*tasks)
    assert entered == [0, 1, 2, 3]


async def test_a_cancelled_wait_gives_its_place_to_the_next() -> None:
    slots = Slots(1)
    async with slots:
        given_up = asyncio.create_task(slots.__aenter__())
        patient = asyncio.create_task(slots.__aenter__())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
    await asyncio.wait_for(patient, 5)
    assert not slots.full


def test_an_engine_gets_half_as_many_questions_more_than_its_batch_since_some_await_passages() -> None:
    assert most_in_flight(64) == 96
    assert most_in_flight(1) == 2


def ended(room: Room, key: object, *steps: Usage) -> int:
    for number, usage in enumerate(steps, start=1):
        room.step(key, number, usage)
    room.left(key)
    return room.size


def grown(room: Room, *steps: Usage) -> int:
    """The size after many such questions."""
    for key in range(200):
        ended(room, key, *steps)
    return room.size


def test_questions_in_flight_follow_the_cache_by_the_mean_of_their_last_prompts() -> None:
    assert grown(Room(80, 10_000, step_limit=5), Usage(100, 0, 20), Usage(450, 100, 50)) == 20
    assert grown(Room(80, 100, step_limit=5), Usage(1000, 0, 1)) == 1
    assert grown(Room(80, 10**9, step_limit=5), Usage(1000, 0, 1)) == 80


def test_demonstrations_that_all_questions_share_take_room_in_the_cache_once() -> None:
    # 2,900 once and 500 for each question: (10,000 - 2,900) / 500.
    assert grown(Room(80, 10_000, step_limit=5), Usage(3000, 2900, 20), Usage(3380, 3000, 20)) == 14


def test_an_engine_starts_with_a_guess_and_gets_one_question_more_with_every_step() -> None:
    room = Room(80, 8 * 4096, step_limit=5)
    assert room.size == 8
    sizes = []
    for key in range(3):
        room.step(key, 1, Usage(100, 0, 10))
        sizes.append(room.size)
    assert sizes == [9, 10, 11]
    assert Room(4, 10**9, step_limit=5).size == 4
    assert Room(4, 100, step_limit=5).size == 1


def test_until_a_question_has_ended_all_are_taken_to_go_to_the_step_limit() -> None:
    room = Room(80, 10 * 4096, step_limit=5)
    room.step("a", 1, Usage(1980, 0, 20))
    assert room.size == 4  # 40,960 / (2,000 · 5)
    room.left("a")
    room.step("b", 1, Usage(1980, 0, 20))
    assert room.size == 5  # 2,000 tokens each: 20 fit, and one more enters with every step


def test_long_questions_still_open_count_against_short_ones_that_ended_first() -> None:
    room = Room(8, 40_000, step_limit=1)
    room.step("long", 1, Usage(19_900, 0, 100))
    assert room.size == 2
    ended(room, "short", Usage(3900, 0, 100))
    for _ in range(9):
        room.step("other", 1, Usage(3900, 0, 100))
    assert room.size == 4  # 40,000 / ((20,000 + 4,000 + 4,000) / 3)


def test_a_question_that_fails_before_its_first_step_changes_nothing() -> None:
    room = Room(80, 8 * 4096, step_limit=5)
    room.left("q")
    assert room.size == 8


class Busy:
    """Answers when told to."""

    context_tokens = None
    cache_tokens = None

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        await self.go.wait()
        return Completion("", Usage())

    async def close(self) -> None:
        pass


async def test_load_is_the_mean_over_the_time_in_which_questions_waited() -> None:
    now = 0.0
    model = Busy()
    meter = LoadMeter(model, clock=lambda: now)
    calls = [asyncio.create_task(meter.complete(REQUEST)) for _ in range(3)]
    await asyncio.sleep(0)
    now = 5.0  # not counted: nobody waited
    meter.take(8)
    meter.counting = True
    now = 7.0
    assert meter.take(8) == Load(2.0, 3.0, 8)
    now = 8.0
    model.go.set()
    await asyncio.gather(*calls)
    now = 11.0
    assert meter.take(8) == Load(4.0, 0.75, 8)


async def test_time_in_which_a_run_has_questions_that_an_engine_is_not_given_counts_as_idle() -> None:
    now = 0.0
    meter = LoadMeter(Busy(), clock=lambda: now)
    meter.counting = meter.unfed = True
    now = 6.0
    meter.take(8)
    meter.unfed = False
    call = asyncio.create_task(meter.complete(REQUEST))
    await asyncio.sleep(0)
    now = 8.0
    meter.unfed = True
    now = 9.0
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    meter.unfed = False
    now = 11.0
    # One request for three of five seconds.
    assert meter.take(8) == Load(5.0, 0.6, 8, unfed_s=3.0)


def test_a_starving_engine_is_reported_with_what_it_waits_for() -> None:
    stats = LoopStats(steps=10, engine_s=5.0, search_s=20.0, loads=[Load(15.0, 2.0, 10), Load(5.0, 6.0, 10)])
    assert stats.engine_use == pytest.approx(0.3)
    assert "30% of their capacity" in stats.starvation()
    assert "more retrievers" in stats.starvation()
    assert "a higher in_flight" in replace(stats, search_s=1.0).starvation()
    assert replace(stats, loads=[Load(20.0, 9.0, 10)]).starvation() == ""
    assert replace(stats, loads=[Load(1.0, 1.0, 10)]).starvation() == ""


def test_an_engine_that_is_not_given_the_questions_there_are_starves_for_the_drivers_sake() -> None:
    loads = [Load(20.0, 2.0, 10, unfed_s=15.0), Load(5.0, 6.0, 10)]
    told = LoopStats(steps=10, engine_s=5.0, search_s=20.0, loads=loads).starvation()
    assert "28% of their capacity" in told
    assert "60% of the time these waited at the driver" in told
    assert "retrievers" not in told


def test_a_day_in_which_all_went_well_does_not_hide_that_engines_starve_now() -> None:
    lately = Lately()
    lately.add(0.0, Load(86_400.0, 10.0, 10), Waits(1000, 5000.0, 100.0))
    lately.add(1000.0, Load(20.0, 3.0, 10), Waits(1010, 5002.0, 120.0))
    assert lately.warning(1000.0, Waits(1010, 5002.0, 120.0)) == (
        "the engines starve: 30% of their capacity in use while questions wait; "
        "steps waited 2.00 s for passages, 0.20 s for text. Try more retrievers"
    )
    assert lately.warning(1599.0, lately.waits)
    assert lately.warning(1601.0, lately.waits) == ""
    assert not lately.loads


def test_starving_engines_are_told_of_while_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.monotonic()
    stats = LoopStats(left=100, steps=10, engine_s=5.0, search_s=20.0)
    progress = LoopProgress("generate", stats)
    monkeypatch.setattr(time, "monotonic", lambda: now + 590)
    stats.worked(Load(20.0, 3.0, 10))
    progress.show()
    assert "warning" not in capsys.readouterr().out
    monkeypatch.setattr(time, "monotonic", lambda: now + 610)
    progress.show()
    progress.show()
    assert capsys.readouterr().out.count("warning: the engines starve: 30% of their capacity in use") == 1


def test_a_log_is_told_that_the_run_lives_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steper_ray.drive.progress._LOG_EVERY_S", 0.05)
    told = ""
    patience = time.monotonic() + 20
    with LoopProgress("generate", LoopStats(asked=5, left=5)):
        while told.count("generate: 0 of 5") < 2 and time.monotonic() < patience:
            time.sleep(0.02)
            told += capsys.readouterr().out
    assert told.count("generate: 0 of 5") >= 2
    assert "nothing is done yet" in told


def test_three_deaths_in_a_row_without_progress_are_a_reason_to_stop() -> None:
    foreman = Foreman()
    assert foreman.begin("a") == Start(0, 0)
    assert foreman.begin("b") == Start(1, 0)
    assert foreman.begin("b") == Start(1, 1)
    assert foreman.begin("a") == Start(0, 1)
    assert foreman.begin("a") == Start(0, 2)
    foreman.finish("a", 0, progress=True)
    assert foreman.begin("a") == Start(0, 3)
    assert foreman.begin("a") == Start(0, 4)
    foreman.note("a", "out of memory")
    stop = foreman.begin("a").stop
    assert stop == "engine 0 died 3 times in a row without progress; the last time: out of memory"
    assert foreman.why_stopped() == stop
    assert foreman.begin("b").stop == stop


def test_a_lease_over_which_two_engines_died_is_given_up_and_the_others_go_on() -> None:
    foreman = Foreman()
    foreman.begin("a")
    for lease in (5, 6, 7):
        assert foreman.take("a", lease)
    foreman.finish("a", 5, progress=True)
    foreman.begin("a")
    # Those that were open run one after the other from now on; only the one that kills is open at the next death.
    assert [foreman.suspects(lease) for lease in (5, 6, 7, 8)] == [False, True, True, False]
    assert foreman.take("a", 6)
    foreman.finish("a", 6, progress=True)
    assert foreman.take("a", 7)
    foreman.begin("a")
    assert not foreman.take("a", 7)
    foreman.finish("a", 7, progress=False)
    assert foreman.take("a", 8)
    assert foreman.why_stopped() == ""


def test_a_foreman_that_was_restarted_takes_over_workers_in_the_middle_of_their_work() -> None:
    foreman = Foreman()
    assert foreman.take("a", 3)
    foreman.finish("b", 4, progress=True)
    foreman.note("c", "hm")
    assert foreman.begin("d") == Start(3, 0)
    assert foreman.begin("a") == Start(0, 1)


def test_engines_and_their_restarts_have_seeds_of_their_own() -> None:
    starts = [Start(number, restarts) for number in range(20) for restarts in range(20)]
    seeds = {engine_seed(run, start) for run in range(5) for start in starts}
    assert len(seeds) == 5 * len(starts)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_engines_of_a_later_execution_have_other_seeds_and_those_of_the_first_stay() -> None:
    assert engine_seed(7, Start(2, 3)) == engine_seed(7, Start(2, 3), 0) == 7 * 1_000_003 + 2 * 1_009 + 3
    starts = [Start(number, restarts) for number in range(16) for restarts in range(5)]
    counts = [*range(100), *(1_009 * n for n in range(1, 50)), *(1_000_003 * n for n in range(1, 10))]
    seeds = {engine_seed(0, start, attempts) for start in starts for attempts in counts}
    assert len(seeds) == len(starts) * len(counts)
    assert all(0 <= seed < 2**31 for seed in seeds)


class Shelf:
    """Counts what it is asked, and fails where told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        self.asked.append(query)
        await asyncio.sleep(0)
        if query == "broken" and self.asked.count("broken") == 1:
            raise BackendError("retriever", "gone")
        return (Passage(f"{query}-{k}", "", ""),)


async def test_the_same_query_is_asked_once_even_by_two_at_the_same_time() -> None:
    shelf = Shelf()
    cache = QueryCache(shelf)
    found = await asyncio.gather(cache.search("a", 1), cache.search("a", 1), cache.search("a", 2))
    assert [passages[0].id for passages in found] == ["a-1", "a-1", "a-2"]
    assert await cache.search("a", 1) == found[0]
    assert shelf.asked == ["a", "a"]


async def test_the_oldest_query_is_forgotten_and_a_failed_one_is_asked_again() -> None:
    shelf = Shelf()
    cache = QueryCache(shelf, size=2)
    for query in ("a", "b", "a", "c", "b"):
        await cache.search(query, 1)
    assert shelf.asked == ["a", "b", "c", "b"]
    with pytest.raises(BackendError):
        await cache.search("broken", 1)
    assert (await cache.search("broken", 1))[0].id == "broken-1"


async def test_a_search_that_fails_when_nobody_waits_any_more_is_asked_again() -> None:
    cache = QueryCache(Shelf())
    impatient = asyncio.create_task(cache.search("broken", 1))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0.01)
    assert (await cache.search("broken", 1))[0].id == "broken-1"


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    cache = QueryCache(Shelf())
    first = asyncio.create_task(cache.search("a", 1))
    second = asyncio.create_task(cache.search("a", 1))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)[0].id == "a-1"
