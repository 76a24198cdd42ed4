"""What all members of an ablation read, by its contents: the same path may hold another file tomorrow."""

import hashlib
import json
from pathlib import Path

from steper_ray.backends.model_folder import model_identity
from steper_ray.config import Config
from steper_ray.drive.prepare import index_source, retrieval_identity


def contents_digest(config: Config) -> str:
    """A digest of questions, aliases, index and the model that is trained; changes when one of them does.

    Raises:
        UserError: one of them is missing, or a search service refuses a trial search.
        EnvironmentFault: the search service does not answer.
    """
    section, model = config.evaluate, config.train.model
    assert section.questions is not None
    assert model is not None
    parts = {
        "questions": _digest(section.questions),
        "aliases": _digest(section.aliases) if section.aliases else None,
        "index": retrieval_identity(config.retriever, config.folder("index"), index_source(config.index)),
        "model": model_identity(model),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
