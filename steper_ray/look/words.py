"""Drop reasons in words."""

from steper_ray.core.types import DropReason

REASONS: dict[DropReason, str] = {
    DropReason.WRONG_ANSWER: "the answer is not the right one",
    DropReason.NO_ANSWER: "it ended at the step limit or with an empty answer",
    DropReason.EMPTY_RATIONALE: "a step has no text",
    DropReason.NO_MAJORITY: "no answer was given by more paths than any other, twice at least",
    DropReason.DUPLICATE_PATH: "an earlier path of the question reasons in the same words",
    DropReason.SURPLUS_PATH: "samples.keep_paths earlier paths of the question are kept",
    DropReason.QUESTION_FULL: "the question would have more than samples.per_question samples",
    DropReason.STAGE_BALANCE: "a stage has more than samples.max_stage_share of the samples",
    DropReason.TOO_LONG: "it is longer than the training length",
}
