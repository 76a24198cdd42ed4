"""The page as people use it: Chromium against the real application, whose loop follows a script."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steper_ray.serve.keys import add_key, revoke_key
from tests.browser.service import MARKUP, Loop, serving

pytestmark = pytest.mark.browser

QUESTION = "Where was the director of Titanic born?"


@pytest.fixture
def url(service: tuple[str, Loop]) -> Iterator[str]:
    address, loop = service
    loop.asked.clear()
    loop.left.clear()
    return address


@pytest.fixture
def loop(service: tuple[str, Loop]) -> Loop:
    return service[1]


def ask(page: Any, url: str, question: str = QUESTION) -> None:
    page.goto(url)
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def answered(page: Any) -> Any:
    """The answer, once it is there."""
    page.locator("#answer p").first.wait_for()
    return page.locator("#answer")


def status(page: Any) -> str:
    return str(page.get_by_role("status").inner_text())


def test_a_typed_question_is_answered_in_steps(page: Any, url: str) -> None:
    page.goto(url)
    page.get_by_label("Question", exact=True).type(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    assert "Kapuskasing" in answered(page).inner_text()
    steps = page.get_by_role("list", name="Steps").locator("> li")
    assert steps.count() == 3
    assert "Titanic was directed by James Cameron." in steps.nth(0).inner_text()
    assert "3 new passages" in steps.nth(0).inner_text()
    assert "No new passage" in steps.nth(2).inner_text()
    assert "3 steps · " in page.locator("#figures").inner_text()
    assert page.locator("#figures").inner_text().endswith("360 tokens read, 27 written")


def test_a_question_without_an_answer_is_told_why(page: Any, url: str) -> None:
    ask(page, url, f"limit {QUESTION}")
    assert "used up before an answer was found" in answered(page).inner_text()


def test_time_that_is_up_leaves_the_finished_steps_and_marks_the_one_under_way(page: Any, url: str) -> None:
    ask(page, url, f"late {QUESTION}")
    assert answered(page).inner_text().split("\n\n") == [
        "The time was up before an answer was found.",
        "What was found until then is below: 1 step.",
    ]
    assert status(page) == "No answer"
    assert page.locator("#figures").inner_text().startswith("1 step · ")
    steps = page.locator("#steps > li")
    assert steps.locator("h3").all_inner_texts() == ["Step 1", "Step 2, not finished"]
    assert "Titanic was directed by James Cameron." in steps.first.inner_text()
    assert page.locator("#steps [aria-busy], #steps .running").count() == 0
    page.reload()
    page.locator("#history-list button").click()
    assert "The time was up before an answer was found." in answered(page).inner_text()
    assert steps.locator("h3").all_inner_texts() == ["Step 1"]


def test_steps_arrive_while_the_answer_is_under_way(page: Any, url: str, loop: Loop) -> None:
    ask(page, url, f"slow {QUESTION}")
    page.get_by_text("Titanic was directed by James Cameron.", exact=True).wait_for()
    page.get_by_text("James Cameron was born in Kapuskasing, Ontario.").wait_for()
    assert status(page) == "Step 2: 1 new passage, writing …"
    assert page.locator("#result").get_attribute("aria-busy") == "true"
    assert page.locator("#answer").inner_text() == ""
    page.keyboard.press("Escape")
    page.get_by_text("Stopped.").wait_for()
    assert page.get_by_role("button", name="Ask", exact=True).is_visible()
    assert loop.left.wait(2), "the service was not told that nobody waits any more"


def test_a_restarted_step_loses_the_words_it_had(page: Any, url: str) -> None:
    ask(page, url, f"restart {QUESTION}")
    second = page.locator("#steps > li").nth(1).locator(".rationale")
    second.get_by_text("James Cameron was born in Kapuskasing, Ontario.").wait_for()
    page.locator("#steps > li").nth(1).get_by_text("Anew:").wait_for()
    assert second.inner_text().strip() == "Anew:"
    assert "done again" in status(page)
    answered(page)
    assert second.inner_text() == "James Cameron was born in Kapuskasing, Ontario."


def test_passages_unfold_with_the_words_of_the_rationale_marked(page: Any, url: str) -> None:
    ask(page, url)
    answered(page)
    passage = page.locator("#steps > li").nth(1).locator("details")
    assert not passage.locator(".text").is_visible()
    passage.locator("summary").click()
    assert passage.locator("mark").all_inner_texts() == ["James", "Cameron", "born", "Kapuskasing", "Ontario"]
    assert "5 words in the rationale" in passage.inner_text()


def test_markup_in_a_passage_or_a_question_is_shown_as_text(page: Any, url: str) -> None:
    ask(page, url, f"{QUESTION} {MARKUP}")
    answered(page)
    hostile = page.locator("#steps > li").nth(0).locator("details").nth(2)
    hostile.locator("summary").click()
    assert MARKUP in hostile.locator(".text").inner_text()
    assert MARKUP in hostile.locator(".title").inner_text()
    assert MARKUP in page.locator("#asked").inner_text()
    page.reload()
    assert MARKUP in page.locator("#history").inner_text()
    assert page.title() == "Ask step by step · steper_ray"
    assert page.locator("main img, main script, main style").count() == 0


def test_the_browser_itself_refuses_markup_made_from_text(chromium: Any, url: str) -> None:
    page = chromium.new_page()
    page.goto(url)
    attempt = "() => { try { document.body.innerHTML = '<b>' } catch (error) { return error.message } }"
    assert "TrustedHTML" in page.evaluate(attempt)
    page.close()


def test_a_service_that_is_full_says_when_to_ask_again(page: Any, url: str, loop: Loop) -> None:
    ask(page, url, f"full {QUESTION}")
    page.get_by_role("alert").get_by_text("too many questions are waiting").wait_for()
    again = page.get_by_role("button", name="Ask again", exact=True)
    assert page.locator("#again").is_disabled()
    assert page.locator("#again").inner_text() == "Ask again in 1 s"
    again.click()  # waits until it can be clicked
    page.wait_for_function("() => document.getElementById('again').disabled")
    assert len(loop.asked) == 2


def test_a_fault_in_the_middle_keeps_what_was_found_and_tells_no_secret(page: Any, url: str) -> None:
    ask(page, url, f"fail {QUESTION}")
    page.get_by_role("alert").get_by_text("the service's log says more").wait_for()
    assert page.locator("#steps > li").count() == 2
    assert page.locator("[aria-busy=true]").count() == 0
    assert "secret" not in page.content()


def test_a_question_the_service_finds_invalid_is_told_why(page: Any, url: str) -> None:
    ask(page, url, "x" * 2001)
    page.get_by_role("alert").get_by_text("has 2001 characters, at most 2000 are allowed").wait_for()
    assert not page.locator("#again").is_visible()


def test_a_lost_network_offers_the_question_again(page: Any, context: Any, url: str) -> None:
    page.goto(url)
    context.set_offline(True)
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("cannot be reached").wait_for()
    context.set_offline(False)
    page.get_by_role("button", name="Ask again", exact=True).click()
    assert "Kapuskasing" in answered(page).inner_text()
    assert not page.locator("#notice").is_visible()


def test_a_stream_cut_in_the_middle_is_no_answer(page: Any, url: str) -> None:
    begun = 'event: step_started\r\ndata: {"id": "q", "step": 1, "query": "a query"}\r\n\r\n'
    page.route("**/v1/answer/stream", lambda route: route.fulfill(body=begun, content_type="text/event-stream"))
    ask(page, url)
    page.get_by_role("alert").get_by_text("ended in the middle").wait_for()
    assert "a query" in page.locator("#steps").inner_text()


def test_a_reload_in_mid_stream_offers_the_question_again(page: Any, url: str, loop: Loop) -> None:
    slow = f"slow {QUESTION}"
    ask(page, url, slow)
    page.locator("#steps > li").nth(1).wait_for()
    page.reload()
    page.get_by_role("alert").get_by_text("left before this question was answered").wait_for()
    assert page.get_by_label("Question", exact=True).input_value() == slow
    assert loop.left.wait(2)
    page.get_by_role("button", name="Ask again", exact=True).click()
    page.locator("#steps > li").nth(1).wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("Stopped.").wait_for()
    page.reload()
    assert not page.locator("#notice").is_visible()


def test_history_outlives_the_page_and_can_be_cleared(page: Any, url: str) -> None:
    ask(page, url)
    answered(page)
    page.reload()
    assert not page.locator("#result").is_visible()
    page.locator("#history-list button").click()
    assert page.locator("#steps > li").count() == 3
    assert "Kapuskasing" in page.locator("#answer").inner_text()
    page.get_by_role("button", name="Clear history").click()
    assert not page.locator("#history").is_visible()
    assert page.evaluate("() => localStorage.getItem('steper.history')") is None


def test_broken_storage_does_not_break_the_page(page: Any, url: str) -> None:
    page.add_init_script("localStorage.setItem('steper.history', '[{\"answer\": 5}, null]')")
    ask(page, url)
    answered(page)
    page.add_init_script("Storage.prototype.getItem = Storage.prototype.setItem = () => { throw new Error('off') }")
    ask(page, url)
    answered(page)


def test_the_answer_is_copied_as_json(page: Any, context: Any, url: str) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, url)
    answered(page)
    page.get_by_role("button", name="Copy as JSON").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert copied["answer"] == "Kapuskasing"
    assert len(copied["steps"][0]["passages"]) == 3


def test_the_key_is_asked_for_and_kept_in_this_tab(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "alice", per_minute=1)
    with serving(file) as (url, _):
        ask(page, url)
        field = page.get_by_label("API key")
        field.wait_for()
        assert page.evaluate("() => document.activeElement.id") == "key"
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("not valid, or was revoked").wait_for()
        field.fill(key)
        page.keyboard.press("Enter")
        assert "Kapuskasing" in answered(page).inner_text()
        assert key not in page.content() + page.evaluate("() => JSON.stringify(localStorage)")
        # The one request of this minute is used up.
        ask(page, url)
        page.get_by_role("alert").get_by_text("may send 1 request a minute").wait_for()
        assert re.fullmatch(r"Ask again in (5\d|60) s", page.locator("#again").inner_text())
        page.wait_for_function("() => Number(document.getElementById('again').textContent.match(/\\d+/)[0]) < 59")
        page.get_by_role("button", name="Forget key").click()
        assert page.evaluate("() => sessionStorage.getItem('steper.key')") is None
        revoke_key(file, "alice")


def test_a_telephone_shows_everything_without_scrolling_sideways(chromium: Any, url: str) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    ask(page, url, QUESTION + " " + "x" * 300)
    answered(page)
    for path in ("summary >> nth=2", "#theme"):
        page.locator(path).click()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    for button in page.get_by_role("button").all():
        if button.is_visible():
            assert button.bounding_box()["height"] >= 36
    page.goto(f"{url}/docs")
    page.locator(".operation").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    context.close()


def focused(page: Any) -> str:
    text: str = page.evaluate(
        "() => (document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || "
        "document.activeElement.id).trim()"
    )
    return text


def test_everything_can_be_done_with_the_keyboard_alone(page: Any, url: str) -> None:
    page.goto(url)
    page.keyboard.type(QUESTION)  # the question has the focus
    page.keyboard.press("Enter")
    answered(page)
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid" or seen[-1] == "", f"{seen[-1]} does not show that it has the focus"
        if seen[-1].startswith("James Cameron"):
            page.keyboard.press("Enter")
            break
    assert seen[:2] == ["Ask", "Copy as JSON"]
    assert page.get_by_text("is a Canadian filmmaker").is_visible()


def test_dark_follows_the_system_and_can_be_chosen(page: Any, url: str) -> None:
    def background() -> str:
        colour: str = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return colour

    page.goto(url)
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    button = page.get_by_role("button", name="Theme")
    button.click()
    assert (button.inner_text(), background()) == ("Theme: light", light)
    button.click()
    page.emulate_media(color_scheme="light")
    page.reload()
    assert (button.inner_text(), background()) == ("Theme: dark", dark)


def test_what_is_read_aloud_has_names(page: Any, url: str) -> None:
    ask(page, url)
    answered(page)
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('button, a, input, textarea, summary')]"
        ".filter((e) => !e.hidden && !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label')))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []
    assert page.locator("#answer").get_attribute("aria-live") == "polite"
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("main").count() == 1


def test_the_documentation_is_drawn_from_the_description_of_the_api(page: Any, url: str) -> None:
    page.goto(f"{url}/docs")
    page.get_by_role("heading", name="POST /v1/answer", exact=True).wait_for()
    section = page.locator("#post-v1-answer")
    assert "step_limit" in section.inner_text()
    assert "Most steps, at most the service's own." in section.inner_text()
    section.get_by_text("429").click()
    assert "rate_limited" in section.inner_text()
    assert page.locator("#problem").inner_text() == ""
