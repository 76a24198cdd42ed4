"""The index phase: a corpus becomes a BM25 index."""
