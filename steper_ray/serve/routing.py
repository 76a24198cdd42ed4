"""Which replica a call goes to: one on the caller's own node, unless another has clearly less to do."""

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
from ray.serve.request_router import PendingRequest, RunningReplica

SLACK = 2
"""Calls in flight that a near replica may have more than the idlest far one."""
UNKNOWN = -1


class NearbyRouter(PowerOfTwoChoicesRequestRouter):
    """Power of two choices, behind a near replica where that has hardly more to do than any far one.

    Serve's own preference for the same node leaves it only when all of its replicas are full, and these never are.
    Serve sends this class by value to whoever holds a handle.
    """

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Groups to try in turn."""
        otherwise = await super().choose_replicas(candidate_replicas, pending_request)
        near, *others = self.rank_replicas_via_locality(candidate_replicas)
        near_lengths = [self._length(replica) for replica in near]
        far_lengths = [self._length(replica) for group in others for replica in group]
        if UNKNOWN in (*near_lengths, *far_lengths) or not (near and far_lengths):
            # Serve's own choice asks for the lengths that it lacks.
            return otherwise
        least = min(near_lengths)
        return [[near[near_lengths.index(least)]], *otherwise] if least <= min(far_lengths) + SLACK else otherwise

    def _length(self, replica: RunningReplica) -> int:
        known: int | None = self.replica_queue_len_cache.get(replica.replica_id)
        return UNKNOWN if known is None else known
