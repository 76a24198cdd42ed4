"""`steper corpus`: makes a corpus."""

import argparse
from pathlib import Path


def add_corpus(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command with its kinds."""
    what = "make a corpus: split documents, or take the paragraphs of questions"
    kinds = commands.add_parser("corpus", help=what, description=what).add_subparsers(metavar="KIND", required=True)
    split = kinds.add_parser("split", help="cut documents into passages")
    split.add_argument("source", type=Path, metavar="IN", help="documents: id, title, text")
    split.add_argument("--words", type=int, default=100, help="most words of a passage (default %(default)s)")
    split.add_argument("--overlap", type=int, default=0, help="words that neighbours share (default %(default)s)")
    gather = kinds.add_parser("from-questions", help="take the paragraphs that come with questions, each once")
    gather.add_argument("sources", type=Path, nargs="+", metavar="IN", help="HotpotQA, 2WikiMultiHopQA or MuSiQue")
    for command, run in ((split, _split), (gather, _gather)):
        command.add_argument("target", type=Path, metavar="OUT", help="a name that ends with .jsonl or .parquet")
        command.add_argument("--overwrite", action="store_true", help="replace OUT")
        command.set_defaults(run=run)


def _split(options: argparse.Namespace) -> None:
    from steper_ray.corpus.split import split_corpus
    from steper_ray.data.split import Cut

    split_corpus(options.source, options.target, Cut(options.words, options.overlap), overwrite=options.overwrite)


def _gather(options: argparse.Namespace) -> None:
    from steper_ray.corpus.gather import gather_corpus

    gather_corpus(options.sources, options.target, overwrite=options.overwrite)
