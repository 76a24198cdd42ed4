"""API keys: the file, the running service's view of it, quotas, and the command line."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.config import load_config
from steper_ray.errors import ConfigError, InputError
from steper_ray.sections.serve import ServeSection, is_loopback
from steper_ray.serve.access import check_access
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.keyring import Keyring
from steper_ray.serve.keys import add_key, find_key, read_keys, revoke_key
from steper_ray.serve.quota import Quota


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_file_holds_a_hash_and_only_its_owner_may_read_it(file: Path) -> None:
    key = add_key(file, "page")
    assert key.startswith("steper_")
    assert len(key) == len("steper_") + 43  # 32 bytes in base64 without padding
    text = file.read_text()
    assert key not in text
    assert json.loads(text)["keys"][0]["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"]


def test_each_key_is_found_and_nothing_else(file: Path) -> None:
    first, second = add_key(file, "first"), add_key(file, "second", per_minute=3)
    keys = read_keys(file)
    assert first != second
    assert find_key(keys, first) == keys[0]
    assert find_key(keys, second) == keys[1]
    for wrong in ("", first[:-1], first + "x", keys[0].sha256, "first", "\ud800"):
        assert find_key(keys, wrong) is None


def test_a_revoked_key_is_out_of_the_file_and_the_others_stay(file: Path) -> None:
    gone, stays = add_key(file, "gone"), add_key(file, "stays")
    revoke_key(file, "gone")
    assert find_key(read_keys(file), gone) is None
    assert find_key(read_keys(file), stays)
    with pytest.raises(ConfigError, match=r"no key named 'gone'; known are stays"):
        revoke_key(file, "gone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b",), "name: string should match"),
        (("",), "name: string should match"),
        (("x" * 65,), "name: string should match"),
        (("ok", 0), "per_minute: input should be greater than or equal to 1, found 0"),
        (("ok", None, -1), "concurrent: input should be greater than or equal to 1, found -1"),
        (("taken",), "a key named 'taken' exists; revoke it first"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    file: Path, arguments: tuple[object, ...], message: str
) -> None:
    add_key(file, "taken")
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=message):
        add_key(file, *arguments)  # type: ignore[arg-type]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid JSON"),
        ("[]", "input should be an object"),
        ('{"keys": [{"name": "a"}]}', "field 'keys.0.sha256': field required"),
        ('{"keys": [{"name": "a", "sha256": "steper_secret", "created": ""}]}', "field 'keys.0.sha256'"),
        ('{"keys": [], "more": 1}', "field 'more': extra inputs are not permitted"),
    ],
)
def test_a_broken_file_is_named_with_the_field_and_no_value(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_keys(file)
    assert str(file) in str(caught.value)
    assert "steper_secret" not in str(caught.value)


def test_bytes_that_are_no_text_and_missing_files_are_named(file: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the key file: No such file.*steper keys add"):
        read_keys(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_keys(file)


def test_two_entries_of_one_key_are_refused(file: Path) -> None:
    add_key(file, "one")
    [entry] = json.loads(file.read_text())["keys"]
    file.write_text(json.dumps({"keys": [entry, {**entry, "name": "two"}]}))
    with pytest.raises(InputError, match="the same name or the same key"):
        read_keys(file)


def test_a_file_that_others_may_write_is_refused(file: Path) -> None:
    add_key(file, "one")
    file.chmod(0o620)
    with pytest.raises(InputError, match=r"other users may write to the key file\. `chmod 600"):
        read_keys(file)


def test_a_running_service_follows_the_file(file: Path) -> None:
    clock = Clock()
    old = add_key(file, "old")
    ring = Keyring(file, clock)
    assert ring.find(old).name == "old"
    new = add_key(file, "new")
    revoke_key(file, "old")
    assert ring.find(old).name == "old"  # within the second between two looks
    clock.now += 1
    assert ring.find(new).name == "new"
    with pytest.raises(Fault) as caught:
        ring.find(old)
    assert caught.value.type is FaultType.UNAUTHENTICATED
    assert old not in str(caught.value)


def test_a_file_that_vanishes_or_breaks_lets_nobody_in_until_it_is_mended(file: Path) -> None:
    clock = Clock()
    key = add_key(file, "one")
    ring, good = Keyring(file, clock), file.read_bytes()
    ring.find(key)
    for harm in (file.unlink, lambda: file.write_text("{")):
        harm()
        clock.now += 1
        with pytest.raises(Fault) as caught:
            ring.find(key)
        assert (caught.value.type, caught.value.headers) == (FaultType.UNAVAILABLE, {"Retry-After": "5"})
        assert str(file) not in str(caught.value)
        file.write_bytes(good)
        clock.now += 1
        assert ring.find(key).name == "one"


def test_a_quota_refills_with_time() -> None:
    quota = Quota(per_minute=2, concurrent=9, now=0.0)
    for _ in range(2):
        quota.enter(0.0)
        quota.leave()
    with pytest.raises(Fault, match="2 requests a minute") as caught:
        quota.enter(0.0)
    assert caught.value.headers == {"Retry-After": "30"}  # one of two a minute
    with pytest.raises(Fault) as caught:
        quota.enter(20.5)
    assert caught.value.headers == {"Retry-After": "10"}  # 9.5 s are left
    quota.enter(30.0)
    quota.leave()
    for _ in range(2):  # an hour later it is full again, and no fuller
        quota.enter(3600.0)
    with pytest.raises(Fault):
        quota.enter(3600.0)


def test_a_quota_counts_what_is_open() -> None:
    quota = Quota(per_minute=100, concurrent=1, now=0.0)
    quota.enter(0.0)
    with pytest.raises(Fault, match="may have 1 request open at a time") as caught:
        quota.enter(0.0)
    assert (caught.value.type.status, caught.value.headers) == (429, {"Retry-After": "1"})
    quota.leave()
    quota.enter(0.0)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_is_localhost(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


def test_beyond_localhost_keys_are_needed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.1", "service.example.org"):
        with pytest.raises(ConfigError, match=r"API keys are needed; make one with `steper keys add"):
            check_access(ServeSection(host=host))
        with pytest.raises(InputError, match="cannot read the key file"):
            check_access(ServeSection(host=host, keys=file))
    add_key(file, "one")
    monkeypatch.chdir(file.parent)
    assert check_access(ServeSection(host="0.0.0.0", keys=Path("keys.json"))).keys == file
    revoke_key(file, "one")
    with pytest.raises(ConfigError, match="holds no key"):
        check_access(ServeSection(host="0.0.0.0", keys=file))


def test_serve_refuses_an_open_host_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "serve.host=0.0.0.0", "student.backend=scripted"]) == 2
    assert "ConfigError: serve.host=0.0.0.0 can be reached from other machines" in capsys.readouterr().err


@pytest.mark.parametrize("origin", ["*", "example.org", "https://example.org/path", "null", "https://*.example.org"])
def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"serve\.cors_origins\.0"):
        load_config(None, [f"serve.cors_origins=['{origin}']"])


def test_the_command_prints_a_key_once_and_never_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "alice", "--file", str(file), "--per-minute", "7"]) == 0
    key = capsys.readouterr().out.strip()
    assert find_key(read_keys(file), key)
    assert main(["keys", "list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out
    assert "alice" in listed
    assert "7" in listed
    assert key not in listed
    assert read_keys(file)[0].sha256 not in listed
    assert main(["keys", "revoke", "alice", "--file", str(file)]) == 0
    assert main(["keys", "revoke", "alice", "--file", str(file)]) == 2
    assert "no key named 'alice'" in capsys.readouterr().err
