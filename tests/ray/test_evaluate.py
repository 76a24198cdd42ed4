"""The evaluate phase with a recorded student, on Ray and a real Lucene index."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import samples_of
from steper_ray.core.types import LoopSettings, Prompt, Question
from steper_ray.data.contamination import Contamination, hash_line, write_hashes
from steper_ray.data.schemas import SAMPLES, TRAJECTORIES, part_files, read_rows, sample_row, trajectory_of
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import RunFolderError
from steper_ray.evaluate.rescore import score_file
from steper_ray.evaluate.run import evaluate
from steper_ray.runs import Manifest, read_manifest, write_manifest
from steper_ray.student.card import WeightsCard, write_card

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]

SHOW = "Jim Halsey guided the career of the musician who hosted what country variety show?"
QUESTIONS = [
    ("right", SHOW, "Hee Haw", "bridge", ["Jim Halsey", "Roy Clark"]),
    ("wrong", "In which state does Bakersfield lie?", "California", "single", ["Bakersfield"]),
    ("failed", "Who played guitar?", "Buck Owens", "single", ["Buck Owens"]),
]
CHAINS = {
    "right": ["Jim Halsey guided the career of Roy Clark.", "Roy Clark hosted Hee Haw.", "So the answer is: Hee Haw."],
    "wrong": ["So the answer is: Nevada."],
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, halsey: Path) -> list[str]:
    folder = tmp_path_factory.mktemp("evaluate")
    questions = [
        {"id": id, "question": text, "golden_answers": [gold], "metadata": {"type": kind, "supporting_titles": titles}}
        for id, text, gold, kind, titles in QUESTIONS
    ]
    chains = [{"id": id, "steps": [{"rationale": text} for text in steps]} for id, steps in CHAINS.items()]
    for name, rows in (("questions", questions), ("chains", chains)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        f"run.folder={folder}",
        f"index.folder={halsey / 'index'}",
        "student.backend=replay",
        f"student.recordings={folder / 'chains.jsonl'}",
        f"evaluate.questions={folder / 'questions.jsonl'}",
    ]


@pytest.fixture(scope="module")
def config(inputs: list[str]) -> Config:
    config = load_config(None, [*inputs, "loop.k=2"])
    evaluate(config)
    return config


def test_every_question_has_a_prediction_and_counts_add_up(config: Config) -> None:
    folder = config.folder("evaluate")
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["right", "wrong", "failed"]
    assert [row["answer"] for row in rows] == ["Hee Haw", "Nevada", ""]
    assert rows[2]["failure"] == "no_recording"
    counts = read_manifest(folder, "evaluate", command="steper evaluate").counts
    assert counts["asked"] == counts["scored"] == 3
    assert counts["finished"] + sum(counts["failed"].values()) + counts["not_started"] == 3


def test_scores_are_those_of_the_recorded_student(config: Config) -> None:
    scores: dict[str, Any] = json.loads((config.folder("evaluate") / "scores.json").read_text())
    assert scores["quality"]["exact_match"] == pytest.approx(1 / 3)
    assert scores["quality"]["f1"] == pytest.approx(1 / 3)
    assert scores["failed"] == {"no_recording": 1}
    assert scores["steps_histogram"] == {"1": 1, "3": 1}
    assert scores["recall_questions"] == 2
    assert scores["recall"][-1]["all"] == 1.0
    assert scores["by_kind"]["bridge"]["exact_match"] == 1.0
    assert "| EM | 33.3 |" in (config.folder("evaluate") / "scores.md").read_text()


def test_a_second_run_asks_nothing_again_and_scores_the_same(config: Config) -> None:
    folder = config.folder("evaluate")
    before = {path.name: path.read_bytes() for path in part_files(folder / "trajectories")}
    scores = (folder / "scores.json").read_text()
    evaluate(config)
    assert {path.name: path.read_bytes() for path in part_files(folder / "trajectories")} == before
    assert (folder / "scores.json").read_text() == scores


def test_forcing_answers_is_another_evaluation(config: Config, inputs: list[str]) -> None:
    with pytest.raises(RunFolderError, match="force_answer was False, is True"):
        evaluate(load_config(None, [*inputs, "loop.k=2", "evaluate.force_answer=true"]))


def test_several_paths_of_a_question_are_one_prediction(inputs: list[str], tmp_path: Path) -> None:
    several = ["loop.k=2", "evaluate.paths=3", "student.temperature=0.5", f"evaluate.folder={tmp_path}"]
    scores = evaluate(load_config(None, [*inputs, *several]))
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [(row["answer"], row["votes"], row["paths"]) for row in rows] == [
        ("Hee Haw", 3, 3),
        ("Nevada", 3, 3),
        ("", 0, 0),
    ]
    assert (scores.quality.questions, scores.finished, scores.paths, scores.agreement) == (3, 2, 3.0, 1.0)
    counts = read_manifest(tmp_path, "evaluate", command="steper evaluate").counts
    assert (counts["asked"], counts["finished"], counts["failed"]) == (9, 6, {"no_recording": 3})
    # With one path again the others have no say.
    evaluate(load_config(None, [*inputs, *several, "evaluate.paths=1"]))
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["paths"] for row in rows] == [1, 1, 0]


def test_questions_of_hotpotqa_leave_the_file_that_its_script_reads(inputs: list[str], tmp_path: Path) -> None:
    rows = [
        {"_id": id, "question": text, "answer": gold, "supporting_facts": [[title, 0] for title in titles]}
        for id, text, gold, _, titles in QUESTIONS
    ]
    questions = tmp_path / "hotpotqa.json"
    questions.write_text(json.dumps(rows))
    scores = evaluate(
        load_config(None, [*inputs, "loop.k=2", f"evaluate.questions={questions}", f"evaluate.folder={tmp_path}"])
    )
    official = tmp_path / "predictions.hotpotqa.json"
    assert json.loads(official.read_text()) == {
        "answer": {"right": "Hee Haw", "wrong": "Nevada"},
        "sp": {"right": [], "wrong": [], "failed": []},
    }
    exact = [prediction.exact_match for prediction in score_file(official, questions).predictions]
    assert exact == [1.0, 0.0, 0.0]
    assert scores.quality.exact_match == pytest.approx(1 / 3)


def test_what_a_reader_of_the_scores_must_know_is_told_before_the_run(
    inputs: list[str], tmp_path: Path, capfd: Any
) -> None:
    model = _tiny_model(tmp_path / "model")
    write_card(model, WeightsCard(LoopSettings(k=2), PROMPT_VERSION, "steper", (1.0, 1.0, 1.0)))
    write_hashes(model, [hash_line(Question("elsewhere", SHOW.lower()))])
    questions = tmp_path / "questions.jsonl"
    rows = [
        {"id": id, "question": text, "golden_answers": [gold], "metadata": {"supporting_titles": ["Elsewhere"]}}
        for id, text, gold, _, _ in QUESTIONS
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = [f"student.model={model}", f"evaluate.folder={tmp_path / 'evaluate'}"]
    scores = evaluate(load_config(None, [*inputs, *overrides, f"evaluate.questions={questions}"]))
    assert scores.contamination == Contamination(questions=3, trained=1, by_id=0, by_text=1, either=1)
    assert scores.unseen is not None
    assert scores.unseen.exact_match == 0.0
    shown = capfd.readouterr().out
    assert "warning: 1 of 3 evaluated questions" in shown
    # The index is known by the names of its passages, and none of them is called so.
    assert "warning: none of the questions' 1 gold passages is in the index in" in shown
    assert "recordings cover 2 of 3 questions" in shown
    page = (tmp_path / "evaluate" / "scores.md").read_text()
    assert "Warning: 1 of 3 evaluated questions" in page
    assert json.loads((tmp_path / "evaluate" / "scores.json").read_text())["contamination"]["by_text"] == 1


def test_stages_are_scored_with_the_right_tokens_fed_in(config: Config, inputs: list[str], tmp_path: Path) -> None:
    how = LoopSettings(k=2)
    model = _tiny_model(tmp_path / "model")
    write_card(model, WeightsCard(how, PROMPT_VERSION, "steper", (1.0, 1.0, 1.0)))
    samples = _samples(config, how, tmp_path / "samples")
    # The weights were trained on the question that the held-out samples are of.
    for folder in (samples, model):
        write_hashes(folder, [hash_line(Question("right", SHOW))])
    overrides = [f"student.model={model}", f"evaluate.samples={samples}", "train.compute_dtype=float32"]
    scores = evaluate(load_config(None, [*inputs, *overrides, f"evaluate.folder={tmp_path / 'evaluate'}"]))
    assert set(scores.stages) == {"reasoning_initialization", "reasoning_expansion", "reasoning_aggregation"}
    for row in read_rows(samples, SAMPLES):
        loss, accuracy, tokens = _reference(model, row)
        found = scores.stages[row["stage"]]
        assert found.tokens == tokens
        assert found.loss == pytest.approx(loss, rel=1e-4)
        assert found.token_accuracy == pytest.approx(accuracy)
    page = (tmp_path / "evaluate" / "scores.md").read_text()
    assert (
        "Warning: the held-out samples were made of 1 questions, of which 1 occur among the 1 of the training" in page
    )


def _samples(config: Config, how: LoopSettings, folder: Path) -> Path:
    """The three samples of the right trajectory."""
    rows = read_rows(config.folder("evaluate") / "trajectories", TRAJECTORIES)
    right = next(trajectory_of(row) for row in rows if row["question_id"] == "right")
    with PartWriter(folder, SAMPLES, rows=10, seconds=60) as writer:
        for sample in samples_of(right, how):
            writer.add(sample_row(sample, {"model": "m", "prompt_version": PROMPT_VERSION, "fingerprint": "f"}))
    facts = {"loop": asdict(how), "prompt_version": PROMPT_VERSION}
    write_manifest(folder, Manifest("samples", "f", {"samples": 3}, facts))
    return folder


def _tiny_model(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(letters), max_position_embeddings=8192, num_key_value_heads=2, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _reference(model: Path, row: dict[str, Any]) -> tuple[float, float, int]:
    """Loss, accuracy and number of the target tokens of one sample, by itself and without packing."""
    import torch
    from transformers import AutoModelForCausalLM

    from steper_ray.core.chat import load_chat_format
    from steper_ray.core.types import Message

    chat = load_chat_format(model)
    messages = tuple(Message(message["role"], message["content"]) for message in row["prompt"])
    prompt, target = chat.prompt_ids(Prompt(messages)), chat.target_ids(row["target"])
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(model)(torch.tensor([prompt + target])).logits[0]
    predicting, wanted = logits[len(prompt) - 1 : -1], torch.tensor(target)
    loss = torch.nn.functional.cross_entropy(predicting, wanted)
    return float(loss), float((predicting.argmax(-1) == wanted).float().mean()), len(target)
