#!/bin/sh
# Custom resources that a node offers, as JSON: what has GPUs takes teachers and training, what has none retrieval.
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; then
  echo '{"teacher": 1, "training": 1}'
else
  echo '{"retrieval": 1}'
fi
