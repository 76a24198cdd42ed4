import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from steper_ray.config import Config, load_config
from steper_ray.core.types import Layout, LoopSettings, QueryForm, Strategy, Target
from steper_ray.errors import ConfigError
from steper_ray.sections.base import Section

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "x.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(source: Path | None = None, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [*sorted((REPOSITORY / "jobs" / "configs").glob("*.yaml")), REPOSITORY / "steper_ray" / "demo" / "demo.yaml"],
    ids=lambda path: str(path.name),
)
def test_every_config_of_the_repository_parses(path):
    load_config(path)


def test_without_a_file_the_defaults_are_the_papers():
    config = load_config()
    assert (config.loop.k, config.loop.step_limit, config.index.k1, config.index.b) == (4, 5, 0.9, 0.4)
    assert (config.train.learning_rate, config.train.epochs, config.train.clip) == (5e-6, 2, 1.0)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}"])
def test_an_empty_file_is_the_defaults(written, text):
    assert load_config(written(text)) == Config()


def test_the_loop_section_is_the_loops_settings():
    config = load_config(
        overrides=[
            "loop.strategy=self_ask",
            "loop.layout=appended",
            "loop.target=cumulative",
            "loop.query_form=rationale",
            "loop.k=1",
            "loop.step_limit=2",
            "loop.passages_cap=3",
            "loop.rationale_tokens=4",
        ]
    )
    assert config.loop.settings() == LoopSettings(
        Strategy.SELF_ASK, Layout.APPENDED, Target.CUMULATIVE, QueryForm.RATIONALE, 1, 2, 3, 4
    )
    assert Config().loop.settings() == LoopSettings()


@pytest.mark.parametrize("value", ["1e-5", "1.0e-5", "0.00001"])
def test_a_float_without_a_point_is_a_number_in_files_and_overrides(written, value):
    assert load_config(written(f"train:\n  learning_rate: {value}\n")).train.learning_rate == 1e-5
    assert load_config(overrides=[f"train.learning_rate={value}"]).train.learning_rate == 1e-5


def test_an_override_wins_over_the_file_and_the_last_one_over_the_first(written):
    config = load_config(written("loop:\n  k: 2\n  step_limit: 3\n"), ["loop.k=7", "loop.k=8"])
    assert (config.loop.k, config.loop.step_limit) == (8, 3)


def test_an_override_may_hold_an_equals_sign_a_null_or_a_path():
    config = load_config(overrides=["train.lora_targets=a=b", "generate.limit=null", "run.folder=runs/x y"])
    assert config.train.lora_targets == "a=b"
    assert config.generate.limit is None
    assert config.run.folder == Path("runs/x y")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loop.step_limt=3", "unknown key 'loop.step_limt'; did you mean 'step_limit'?"),
        ("lop.k=3", "unknown key 'lop'; did you mean 'loop'?"),
        ("ray.zzz=1", "unknown key 'ray.zzz'; known are address, num_cpus, object_store_gib, autoscaling, join_s"),
        ("loop.k=0", "loop.k: input should be greater than or equal to 1, found 0"),
        ("loop.layout=chat", "loop.layout: input should be 'appended' or 'turns', found \"chat\""),
        ("loop.target=cumulative", "loop.target=cumulative needs loop.layout=appended"),
        ("loop.k", "an override is section.key=value, found 'loop.k'"),
        ("k=3", "an override is section.key=value, found 'k=3'"),
        (".k=3", "an override is section.key=value, found '.k=3'"),
        ("loop.=3", "an override is section.key=value, found 'loop.=3'"),
        ("loop.k=[1", "the value of override 'loop.k=[1' is not YAML"),
    ],
)
def test_a_wrong_override_says_what_was_found_and_what_is_known(override, message):
    assert refusal(overrides=(override,)) == message


@pytest.mark.parametrize("section", ["generate", "evaluate"])
def test_fewer_engines_at_most_than_at_least_are_refused_by_name(section):
    told = refusal(overrides=(f"{section}.actors=3", f"{section}.actors_max=2"))
    assert told == f"{section}.actors_max must be at least {section}.actors, found 2 and 3; leave it empty"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loop:\n  kk: 3\n", "unknown key 'loop.kk'; did you mean 'k'?"),
        ("- loop\n", "the configuration must be a mapping of sections, found list"),
        ("7\n", "the configuration must be a mapping of sections, found int"),
        ("train:\n  epochs: two\n", "train.epochs: input should be a valid integer"),
        ("loop: 3\n", "loop: input should be a valid dictionary"),
        ("loop: {k: [}\n", "not YAML: "),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(written, text, message):
    path = written(text)
    refused = refusal(path)
    assert refused.startswith(message)
    assert refused.endswith(f"({path})")


def test_all_faults_of_a_file_are_told_at_once(written):
    refused = refusal(written("loop:\n  k: 0\ntrain:\n  epoch: 1\n"))
    assert "loop.k: input should be greater than or equal to 1, found 0" in refused
    assert "unknown key 'train.epoch'; did you mean 'epochs'?" in refused


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert refusal(tmp_path / "none.yaml").startswith("cannot read the configuration: No such file or directory (")
    assert refusal(tmp_path).startswith("cannot read the configuration: Is a directory (")


def test_a_file_that_is_not_text_is_not_yaml(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"loop:\n  k: \xff\xfe\n")
    assert refusal(path).startswith("not YAML: ")


def test_an_override_of_a_section_that_is_no_mapping_is_refused(written):
    assert refusal(written("loop: 3\n"), ("loop.k=1",)).startswith("section 'loop' must be a mapping, found 3")


def test_the_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Config().loop.k = 3


def test_phases_meet_under_the_runs_folder_unless_one_names_its_own():
    config = load_config(overrides=["run.folder=runs/a", "train.folder=elsewhere"])
    assert config.folder("index") == Path("runs/a/index")
    assert config.folder("report") == Path("runs/a/report")
    assert config.folder("train") == Path("elsewhere")


def test_the_resolved_configuration_reads_back_as_itself():
    config = load_config(overrides=["loop.layout=appended", "train.learning_rate=1e-5", "index.corpus=c.jsonl"])
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_the_configuration_crosses_a_process():
    config = load_config(overrides=["loop.layout=appended", "run.folder=runs/a"])
    assert pickle.loads(pickle.dumps(config)) == config


def test_every_field_says_what_it_is():
    sections = [field.annotation for field in Config.model_fields.values()]
    assert all(issubclass(section, Section) for section in sections)
    silent = [
        f"{s.__name__}.{name}" for s in sections for name, field in s.model_fields.items() if not field.description
    ]
    assert silent == []
