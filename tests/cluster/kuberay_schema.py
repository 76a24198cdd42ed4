"""The fields of KubeRay's own kinds (ray.io/v1), whether used here or not: a typing error is an unknown field.

Names, types, words and required fields follow the Go types of the operator's API, less what came after version 1.6
(a group's `priority`, say), which an operator of that version refuses. What belongs to Kubernetes (pods, services,
metadata) is an object here and judged in kubernetes_parts.py.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
NUMBER: Schema = {"type": "number", "minimum": 0}
KUBERNETES: Schema = {"type": "object"}


def strict(required: str = "", **fields: Schema) -> Schema:
    """An object with these fields alone; `required` names some of them, separated by spaces."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def many(schema: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "items": schema, "minItems": 1}


def mapping(schema: Schema) -> Schema:
    """Names of our own to values."""
    return {"type": "object", "additionalProperties": schema}


def choice(*values: str) -> Schema:
    """One of these words."""
    return {"enum": list(values)}


WORDS = mapping({"type": "string"})
MANAGER = choice("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
GROUP = {"template": KUBERNETES, "rayStartParams": WORDS, "resources": WORDS, "labels": WORDS}
HEAD = strict(
    "template",
    **GROUP,
    headService=KUBERNETES,
    enableIngress=FLAG,
    serviceType=choice("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
)
WORKERS = strict(
    "groupName minReplicas maxReplicas template",
    **GROUP,
    groupName=TEXT,
    suspend=FLAG,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    scaleStrategy=strict(workersToDelete=many(TEXT)),
    numOfHosts=COUNT,
)
AUTOSCALER = strict(
    resources=KUBERNETES,
    image=TEXT,
    imagePullPolicy=TEXT,
    securityContext=KUBERNETES,
    idleTimeoutSeconds=COUNT,
    upscalingMode=choice("Default", "Aggressive", "Conservative"),
    version=choice("v1", "v2"),
    env=many(KUBERNETES),
    envFrom=many(KUBERNETES),
    volumeMounts=many(KUBERNETES),
    command=many(TEXT),
    args=many(TEXT),
)
REDIS = strict(valueFrom=KUBERNETES, value=TEXT)
CLUSTER = strict(
    "headGroupSpec",
    upgradeStrategy=strict(type=choice("Recreate", "None")),
    authOptions=strict(mode=choice("disabled", "token"), secretName=TEXT, enableK8sTokenAuth=FLAG),
    suspend=FLAG,
    managedBy=MANAGER,
    autoscalerOptions=AUTOSCALER,
    headServiceAnnotations=WORDS,
    enableInTreeAutoscaling=FLAG,
    gcsFaultToleranceOptions=strict(
        redisUsername=REDIS, redisPassword=REDIS, externalStorageNamespace=TEXT, redisAddress=TEXT
    ),
    headGroupSpec=HEAD,
    rayVersion=TEXT,
    workerGroupSpecs=many(WORKERS),
)
WHEN = strict(jobStatus=choice("SUCCEEDED", "FAILED"), jobDeploymentStatus=choice("Failed"), ttlSeconds=COUNT)
DELETION = strict(
    "policy condition",
    policy=choice("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"),
    condition=WHEN,
)
JOB = strict(
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER,
    submitterPodTemplate=KUBERNETES,
    metadata=WORDS,
    clusterSelector=WORDS,
    submitterConfig=strict(backoffLimit=COUNT),
    managedBy=MANAGER,
    deletionStrategy=strict(deletionRules=many(DELETION)),
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    jobId=TEXT,
    submissionMode=choice("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    entrypointResources=TEXT,
    entrypointNumCpus=NUMBER,
    entrypointNumGpus=NUMBER,
    ttlSecondsAfterFinished=COUNT,
    shutdownAfterJobFinishes=FLAG,
    suspend=FLAG,
)
GRADUALLY = strict(
    "stepSizePercent intervalSeconds gatewayClassName",
    maxSurgePercent=COUNT,
    stepSizePercent=COUNT,
    intervalSeconds=COUNT,
    gatewayClassName=TEXT,
)
SERVICE = strict(
    "rayClusterConfig",
    serveConfigV2=TEXT,
    rayClusterConfig=CLUSTER,
    serveService=KUBERNETES,
    upgradeStrategy=strict(
        type=choice("NewCluster", "NewClusterWithIncrementalUpgrade", "None"), clusterUpgradeOptions=GRADUALLY
    ),
    excludeHeadPodFromServeSvc=FLAG,
    rayClusterDeletionDelaySeconds=COUNT,
    suspend=FLAG,
)


def kind(name: str, spec: Schema) -> Schema:
    """A manifest of this kind."""
    fields = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": name}, "metadata": KUBERNETES, "spec": spec}
    return strict("apiVersion kind metadata spec", **fields)


KINDS = {name: kind(name, spec) for name, spec in {"RayCluster": CLUSTER, "RayJob": JOB, "RayService": SERVICE}.items()}
