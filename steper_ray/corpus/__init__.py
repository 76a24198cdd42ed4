"""The corpus commands: documents, or the questions' own contexts, become a corpus that `steper index` takes."""
