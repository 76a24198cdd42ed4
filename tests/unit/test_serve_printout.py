"""What `steper serve` prints can be copied as it is."""

import json
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from steper_ray.sections.serve import ServeSection
from steper_ray.serve.run import how_to_ask
from tests.unit.local_service import Service, events_of, plan_of

URL = "http://127.0.0.1:8123"


def command(name: str, printed: str) -> list[str]:
    """The words of the one printed line that begins so, as a shell reads them."""
    [line] = [line for line in printed.splitlines() if line.split()[0] == name]
    return shlex.split(line)


async def test_the_printed_curl_command_is_answered_by_the_service() -> None:
    curl, unbuffered, url, *options = command("curl", how_to_ask(URL, ServeSection()))
    assert (curl, unbuffered) == ("curl", "-N")
    assert options[0::2] == ["-H", "-d"]
    name, value = options[1].split(": ")
    assert f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" == URL
    async with Service(plan_of()).client() as client:
        response = await client.post(urlsplit(url).path, content=options[3], headers={name: value})
    assert response.status_code == 200
    last, answer = events_of(response.text)[-1]
    assert (last, answer["question"]) == ("answer", "Where was the director of Titanic born?")


def test_a_service_with_keys_prints_where_the_key_goes() -> None:
    printed = how_to_ask(URL, ServeSection(keys=Path("keys.json")))
    curl = command("curl", printed)
    assert curl[3:5] == ["-H", "Authorization: Bearer $KEY"]
    assert '"Authorization: Bearer $KEY"' in printed, "in double quotes, so that the shell puts the key in"
    assert json.loads(curl[-1]) == {"question": "Where was the director of Titanic born?"}
    asked = ["steper", "ask", "Where was the director of Titanic born?", "--url", URL, "--key-file", "FILE"]
    assert command("steper", printed) == asked


def test_the_printout_tells_model_and_limits() -> None:
    printed = how_to_ask(URL, ServeSection(model_name="mine", loop_replicas=3, max_ongoing=5, max_queued=7))
    assert f"base_url={URL}/v1 model=mine" in printed
    assert printed.endswith("15 questions at once, 7 wait")
