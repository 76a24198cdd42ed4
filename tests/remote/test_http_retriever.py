"""The retriever behind a search service, against a real HTTP server."""

import asyncio
import re
from functools import partial

import pytest

from steper_ray.backends.http import HttpRetriever
from steper_ray.backends.interfaces import Retriever
from steper_ray.backends.replay import ReplayModel
from steper_ray.backends.reply import FATAL_IN_A_ROW
from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, Trajectory
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.outage import IN_A_ROW, Outage
from steper_ray.drive.slots import Slots
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.sections.shared import RetrieverSection

SECRET = "sk-Very-Secret-1234567890"
A = {"id": "a", "title": "A", "text": "first", "score": 2.5}
B = {"id": "b", "title": "B", "text": "second", "score": 1}
PASSAGE_A, PASSAGE_B = Passage("a", "A", "first", 2.5), Passage("b", "B", "second", 1.0)


def retriever(service, **values) -> HttpRetriever:
    made = HttpRetriever.load(RetrieverSection(backend="http", url=f"{service.url}/search", **values))
    service.clients.append(made)
    return made


async def failure(service) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await retriever(service).search_many(["x", "y"], 2)
    assert caught.value.kind == FailureKind.RETRIEVER
    return caught.value


async def test_a_query_is_posted_and_its_passages_come_back_in_order(service) -> None:
    service.reply(200, {"results": [[A, B]]})
    searching: Retriever = retriever(service)
    assert await searching.search("who?", 4) == (PASSAGE_A, PASSAGE_B)
    (asked,) = service.asked
    assert (asked.path, asked.body) == ("/search", {"queries": ["who?"], "k": 4})
    assert "authorization" not in asked.headers


async def test_many_queries_are_one_request(service) -> None:
    service.reply(200, {"results": [[A], [], [B, A]], "took": 3})
    assert await retriever(service).search_many(["x", "y", "z"], 2) == [(PASSAGE_A,), (), (PASSAGE_B, PASSAGE_A)]
    assert len(service.asked) == 1


async def test_more_than_k_and_repeated_ids_are_left_out(service) -> None:
    service.reply(200, {"results": [[A, A | {"text": "again"}, B, A | {"id": "c"}]]})
    assert await retriever(service).search("x", 2) == (PASSAGE_A, PASSAGE_B)


async def test_title_and_score_may_be_missing_and_more_may_be_there(service) -> None:
    service.reply(200, {"results": [[{"id": "a", "text": "t", "vector": [1, 2]}]]})
    assert await retriever(service).search("x", 2) == (Passage("a", "", "t", 0.0),)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("<html>", "Invalid JSON"),
        ({"hits": []}, "results: Field required"),
        ({"results": {"x": []}}, "results: Input should be a valid array"),
        ({"results": [A, B]}, r"results\.0: Input should be a valid array"),
        ({"results": [[A], [B | {"id": 7}]]}, r"results\.1\.0\.id: Input should be a valid string"),
        ({"results": [[A | {"id": ""}], []]}, r"results\.0\.0\.id: String should have at least 1 character"),
        ({"results": [[{"id": "a"}], []]}, r"results\.0\.0\.text: Field required"),
        ({"results": [[A | {"score": "high"}], []]}, r"results\.0\.0\.score: Input should be a valid number"),
        (
            '{"results": [[{"id": "a", "text": "t", "score": NaN}], []]}',
            r"results\.0\.0\.score: Input should be a finite",
        ),
        ({"results": [[A]]}, "answers 1 lists to 2 queries"),
        ({"results": [[A], [], []]}, "answers 3 lists to 2 queries"),
    ],
)
async def test_a_reply_of_another_form_is_told_with_its_fault_and_shortened(service, reply, fault) -> None:
    service.reply(200, reply)
    told = str(await failure(service))
    assert re.search(fault, told), told
    assert len(told) < 900


async def test_a_refusal_is_told_at_once(service) -> None:
    service.reply(400, "k must be below 3")
    assert "/search refuses the search: 400: k must be below 3" in str(await failure(service))
    assert len(service.asked) == 1


async def test_a_key_refused_again_and_again_ends_the_run_and_says_which(service, monkeypatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", SECRET)
    service.reply(401, f"{SECRET} has expired")
    searching = retriever(service, key_variable="SEARCH_KEY")
    for _ in range(FATAL_IN_A_ROW - 1):
        with pytest.raises(BackendError, match="refuses the search: 401"):
            await searching.search("x", 2)
    with pytest.raises(EnvironmentFault, match=r"401: \[key\] has expired; .*variable SEARCH_KEY.*same command"):
        await searching.search("x", 2)


async def test_refused_queries_and_good_replies_between_them_end_no_run(service) -> None:
    searching = retriever(service)
    service.replies = [(403, {}, "no"), (400, {}, "k"), *[(403, {}, "no")] * 7, (200, {}, '{"results": [[]]}')] * 2
    for number in range(20):
        if number in (9, 19):
            assert await searching.search("x", 2) == ()
        else:
            with pytest.raises(BackendError):
                await searching.search("x", 2)


async def test_questions_outlast_a_search_service_that_is_down_for_a_while(service) -> None:
    model = ReplayModel({f"q{number}": ("So the answer is: it.",) for number in range(30)})
    driver = LoopDriver(LoopSettings(), model, retriever(service, retries=0))
    outage, slots = Outage(4.0), Slots(4)  # probes after 0.4, 1.2 and 2.8 s
    down = IN_A_ROW + 3  # and those under way then: the first reply after them is a probe's, which is alone
    found = (200, {}, '{"results": [[]]}')

    async def drive(number: int) -> Trajectory:
        async with slots:
            return await outage.outlast(partial(driver.run, Question(f"q{number}", f"Who is {number}?")))

    service.replies = [found]
    await asyncio.gather(*map(drive, range(5)))
    service.replies = [(502, {}, "down")] * down + [found]
    results = await asyncio.gather(*map(drive, range(5, 30)), return_exceptions=True)
    assert sum(isinstance(result, BackendError) for result in results) == IN_A_ROW - 1
    assert sum(isinstance(result, Trajectory) for result in results) == 25 - 7
    assert len(service.asked) == 5 + down + 18


async def test_a_busy_service_is_asked_again_as_often_as_configured(service) -> None:
    service.reply(503, "busy", Retry_After="0")
    with pytest.raises(BackendError, match="503: busy, after 2 attempts") as caught:
        await retriever(service, retries=1).search("x", 2)
    assert FailureKind(caught.value.kind).transient
    assert len(service.asked) == 2


async def test_the_key_goes_along_and_is_not_shown(service, monkeypatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", SECRET)
    service.reply(403, f"no access for {SECRET}")
    with pytest.raises(ConfigError, match=r"403: no access for \[key\].*environment variable SEARCH_KEY") as caught:
        await retriever(service, key_variable="SEARCH_KEY").check()
    assert service.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(caught.value)


async def test_the_trial_is_one_search(service) -> None:
    service.reply(200, {"results": [[]]})
    searching = retriever(service)
    await searching.check()
    await searching.close()
    assert [asked.body["k"] for asked in service.asked] == [1]


async def test_a_trial_that_gets_another_form_names_the_key_of_the_configuration(service) -> None:
    service.reply(200, {"hits": []})
    with pytest.raises(ConfigError, match=r"^retriever\.url: a trial search failed: .*results: Field required"):
        await retriever(service).check()


async def test_a_service_that_is_down_ends_the_trial_with_a_remedy(service) -> None:
    service.reply(502, "bad gateway", Retry_After="0")
    with pytest.raises(EnvironmentFault, match=r"502: bad gateway, after 1 attempt\. Check that retriever\.url=http"):
        await retriever(service, retries=0).check()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": None}, r"retriever\.url is missing"),
        ({"url": "opensearch:9200"}, r"retriever\.url must be an http or https address"),
        ({"url": "http://h", "key_variable": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
    ],
)
def test_an_incomplete_section_is_refused(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        HttpRetriever.load(RetrieverSection(backend="http", **values))


async def test_queries_of_several_questions_travel_together(service) -> None:
    service.reply(200, {"results": [[A]]})
    service.reply(200, {"results": [[B], [A], []]})
    searching = retriever(service, requests=1)
    found = await asyncio.gather(*(searching.search(query, 2) for query in ("w", "x", "y", "z")))
    assert found == [(PASSAGE_A,), (PASSAGE_B,), (PASSAGE_A,), ()]
    assert [asked.body["queries"] for asked in service.asked] == [["w"], ["x", "y", "z"]]


async def test_a_batch_of_one_asks_for_each_query_alone(service) -> None:
    service.reply(200, {"results": [[A]]})
    searching = retriever(service, requests=1, batch=1)
    await asyncio.gather(*(searching.search(query, 2) for query in ("w", "x", "y")))
    assert [asked.body["queries"] for asked in service.asked] == [["w"], ["x"], ["y"]]


@pytest.mark.parametrize("spoiled", [(400, "query 2 is too long"), (200, {"results": [[A], [{"id": "x"}]]})])
async def test_a_query_that_is_refused_or_answered_badly_spoils_none_but_its_own(service, spoiled) -> None:
    service.reply(*spoiled)
    service.reply(200, {"results": [[A]]})
    assert await retriever(service).search_each(["x", "y"], 2) == [(PASSAGE_A,), (PASSAGE_A,)]
    assert sorted(asked.body["queries"] for asked in service.asked) == [["x"], ["x", "y"], ["y"]]


async def test_each_of_two_queries_that_are_refused_alone_too_has_its_error(service) -> None:
    service.reply(400, "no")
    for error in await retriever(service).search_each(["x", "y"], 2):
        assert "/search refuses the search: 400: no" in str(error)
    assert len(service.asked) == 3


@pytest.mark.parametrize("status", [403, 503])
async def test_what_is_the_fault_of_no_query_is_not_asked_for_each(service, status) -> None:
    service.reply(status, "no", Retry_After="0")
    with pytest.raises(BackendError, match=f"{status}: no"):
        await retriever(service, retries=0).search_each(["x", "y"], 2)
    assert len(service.asked) == 1
