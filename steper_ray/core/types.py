"""The nouns of the system: plain frozen values that every phase exchanges."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What a sample trains (paper, section 3: the three reasoning abilities)."""

    INITIALIZATION = "reasoning_initialization"
    EXPANSION = "reasoning_expansion"
    AGGREGATION = "reasoning_aggregation"


STAGES: tuple[Stage, ...] = (Stage.INITIALIZATION, Stage.EXPANSION, Stage.AGGREGATION)
"""Order of the stages in every array of three: init, exp, agg."""

STAGE_TERMS: dict[Stage, str] = {
    Stage.INITIALIZATION: "init",
    Stage.EXPANSION: "exp",
    Stage.AGGREGATION: "agg",
}
"""Short names of the loss terms."""


class Layout(StrEnum):
    """How a prompt shows the steps so far."""

    APPENDED = "appended"
    """One user message: instruction, passages in the order found, question, reasoning so far (the paper's)."""
    TURNS = "turns"
    """A chat: each user turn brings the new passages, each assistant turn is one rationale."""


class Target(StrEnum):
    """What the model writes in step s."""

    STEP = "step"
    """The rationale r_s alone."""
    CUMULATIVE = "cumulative"
    """All rationales R≤s joined by newlines (the paper's equation); `appended` only."""


class Strategy(StrEnum):
    """The form of the reasoning."""

    REASONING_PATH = "reasoning_path"
    SELF_ASK = "self_ask"


class System(StrEnum):
    """How an evaluated model comes to its answer."""

    MULTI_STEP = "multi_step"
    """The loop: retrieve and write in turn."""
    ONE_STEP = "one_step"
    """One retrieval with the question, then reasoning and answer in one completion."""
    CLOSED_BOOK = "closed_book"
    """No retrieval: the answer alone."""


class QueryForm(StrEnum):
    """What is sent to the retriever in step s > 1."""

    QUESTION_AND_RATIONALE = "question_and_rationale"
    RATIONALE = "rationale"


class StopReason(StrEnum):
    """Why a trajectory ended."""

    ANSWERED = "answered"
    EMPTY_ANSWER = "empty_answer"
    """The marker came without text."""
    STEP_LIMIT = "step_limit"
    FORCED_ANSWER = "forced_answer"
    """Step limit reached, then one more completion that continues the marker."""


class DropReason(StrEnum):
    """Why a finished trajectory or a sample is not used for training."""

    WRONG_ANSWER = "wrong_answer"
    NO_ANSWER = "no_answer"
    """Stopped by the step limit or with an empty answer."""
    EMPTY_RATIONALE = "empty_rationale"
    """A step without text: as a target it would teach the student to write nothing."""
    NO_MAJORITY = "no_majority"
    """Answers are held against the majority's, and the paths of the question have none."""
    DUPLICATE_PATH = "duplicate_path"
    SURPLUS_PATH = "surplus_path"
    """Enough paths of the question were kept before this one (`samples.keep_paths`)."""
    QUESTION_FULL = "question_full"
    """The question would have too many samples with this path (`samples.per_question`)."""
    STAGE_BALANCE = "stage_balance"
    """Its most frequent stage has too great a share of the samples (`samples.max_stage_share`)."""
    TOO_LONG = "too_long"
    """Longer than the training length; training never truncates."""


class FailureKind(StrEnum):
    """Why a trajectory could not be finished."""

    TIMEOUT = "timeout"
    ENGINE = "engine"
    RETRIEVER = "retriever"
    ENDPOINT = "endpoint"
    PROMPT_TOO_LONG = "prompt_too_long"
    REFUSED = "refused"
    NO_RECORDING = "no_recording"
    """`replay` has no rationale for this question and step."""
    UNEXPECTED = "unexpected"
    """An error that nobody foresaw; the message names it."""

    @property
    def transient(self) -> bool:
        """Whether the next run tries again by itself."""
        return self not in (FailureKind.PROMPT_TOO_LONG, FailureKind.REFUSED, FailureKind.NO_RECORDING)


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks. `golden_answers` holds the gold answer first, then its aliases; empty when unknown."""

    id: str
    text: str
    golden_answers: tuple[str, ...] = ()
    kind: str = ""
    """The dataset's own question type (bridge, comparison …), for tables."""
    hops: int = 0
    """Number of supporting passages where the dataset says so, else 0."""
    gold_titles: tuple[str, ...] = ()
    gold_ids: tuple[str, ...] = ()
    """Supporting passages by title or by id, whichever the dataset gives; for recall."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One retrieved unit. `score` is the retriever's, higher is better."""

    id: str
    title: str
    text: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one completion cost. `seconds` is wall time from request to last token."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the loop. `retrieved` holds all k ids, `passages` only those shown for the first time."""

    query: str
    retrieved: tuple[str, ...]
    passages: tuple[Passage, ...]
    rationale: str = ""
    left_out: int = 0
    """New passages not shown because the prompt would exceed the model's length."""
    usage: Usage = field(default_factory=Usage)
    search_seconds: float = 0.0
    """Wall time from query to passages."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A question and its steps so far; grows by one step, is finished when `stop` is set."""

    question: Question
    path: int = 0
    """Number of the reasoning path, when several are sampled per question."""
    steps: tuple[Step, ...] = ()
    answer: str = ""
    stop: StopReason | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A question and path that could not be finished."""

    question_id: str
    path: int
    text_hash: str
    """Of the question's text."""
    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; `role` is `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is shown. `continuation` is text the assistant's turn already starts with (a forced answer)."""

    messages: tuple[Message, ...]
    continuation: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example, rebuilt from a trajectory."""

    question_id: str
    path: int
    step: int
    """1-based number s of the step that the target belongs to."""
    stage: Stage
    prompt: Prompt
    target: str
    golden_answer: str
    passage_ids: tuple[str, ...]

    @property
    def id(self) -> str:
        """Unique within a data set: question, path and step."""
        return f"{self.question_id}#{self.path}#{self.step}"


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What decides the course of the loop; stored with samples and weights so that it cannot drift."""

    strategy: Strategy = Strategy.REASONING_PATH
    layout: Layout = Layout.TURNS
    target: Target = Target.STEP
    query_form: QueryForm = QueryForm.QUESTION_AND_RATIONALE
    k: int = 4
    step_limit: int = 5
    passages_cap: int = 20
    rationale_tokens: int = 128
