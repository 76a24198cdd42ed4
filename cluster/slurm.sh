#!/bin/bash
# One phase, or the whole pipeline, on nodes that Slurm gives: a Ray cluster of its own for as long as the job runs.
#   sbatch --nodes=2 --gpus-per-node=8 cluster/slurm.sh pipeline jobs/configs/hotpotqa.yaml run.folder=/shared/runs/mine
# The repository and its .venv (`make setup EXTRA=gpu`), run.folder and models lie on storage that all nodes mount.
# Requeued or submitted again, it continues. No autoscaler here: what the nodes lack is said within a minute.
#SBATCH --job-name=steper
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --output=slurm-%x-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")/..}"
[ $# -ge 1 ] || { echo "usage: sbatch cluster/slurm.sh PHASE [CONFIG.yaml] [section.key=value ...]" >&2; exit 2; }
phase=$1; shift
[ -f "jobs/$phase.py" ] || { echo "no phase $phase: jobs/$phase.py is not there" >&2; exit 2; }

# A token for this cluster alone, readable by this user alone; never on a command line, where others would see it.
umask 077
RAY_AUTH_TOKEN_PATH=$HOME/.ray/steper-${SLURM_JOB_ID}.token
mkdir -p "$HOME/.ray"
.venv/bin/python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"
export RAY_AUTH_TOKEN_PATH
set -a; . cluster/ray.env; set +a
export RAY_TMPDIR=/tmp/ray-$SLURM_JOB_ID

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs may share a node's addresses

srun --overlap --nodes=1 --ntasks=1 -w "$head" .venv/bin/ray start --head --block \
  --node-ip-address="$address" --port="$port" --dashboard-host=127.0.0.1 --disable-usage-stats &
ray=($!)
if [ ${#nodes[@]} -gt 1 ]; then
  rest=$(IFS=,; echo "${nodes[*]:1}")
  # A node whose network was cut leaves when it hears of it: it is started again.
  srun --overlap --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) -w "$rest" bash -c \
    "while :; do .venv/bin/ray start --block --address=$address:$port --disable-usage-stats; sleep 5; done" &
  ray+=($!)
fi

finish() { kill "${ray[@]}" "${job:-}" 2>/dev/null || true; rm -f "$RAY_AUTH_TOKEN_PATH"; }
trap finish EXIT
# Slurm's warning two minutes before the end goes on to the phase, which writes what it has.
trap 'kill -TERM "$job" 2>/dev/null || true' TERM

for _ in $(seq 60); do
  .venv/bin/ray status --address="$address:$port" >/dev/null 2>&1 && break
  sleep 2
done
RAY_ADDRESS=$address:$port .venv/bin/python "jobs/$phase.py" "$@" &
job=$!
code=0
wait "$job" || code=$?
# A trapped signal ends the first `wait` early.
if kill -0 "$job" 2>/dev/null; then code=0; wait "$job" || code=$?; fi
exit "$code"
