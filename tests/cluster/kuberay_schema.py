"""The fields of KubeRay 1.6 and Kubernetes that our manifests use, and no others: a typing error is an unknown field.

Names, types and required fields follow KubeRay's custom resource definitions (ray.io/v1) and Kubernetes' API reference.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
QUANTITY: Schema = {"anyOf": [COUNT, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?$"}]}


def strict(required: str = "", **fields: Schema) -> Schema:
    """An object with these fields alone; `required` names some of them, separated by spaces."""
    names = {name.rstrip("_"): schema for name, schema in fields.items()}
    return {"type": "object", "properties": names, "required": required.split(), "additionalProperties": False}


def many(schema: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "items": schema, "minItems": 1}


def mapping(schema: Schema) -> Schema:
    """Names of our own to values."""
    return {"type": "object", "additionalProperties": schema}


def choice(*values: str) -> Schema:
    """One of these words."""
    return {"enum": list(values)}


LABELS = mapping({"type": "string"})
METADATA = strict(name=TEXT, generateName=TEXT, labels=LABELS)
RESOURCES = strict("requests limits", requests=mapping(QUANTITY), limits=mapping(QUANTITY))
TOLERATION = strict(
    "key operator", key=TEXT, operator=choice("Exists", "Equal"), effect=choice("NoSchedule", "NoExecute"), value=TEXT
)
VOLUME = strict(
    "name",
    name=TEXT,
    persistentVolumeClaim=strict("claimName", claimName=TEXT, readOnly=FLAG),
    emptyDir=strict(medium=choice("Memory"), sizeLimit=QUANTITY),
)
CONTAINER = strict(
    "name image resources securityContext",
    name=TEXT,
    image=TEXT,
    envFrom=many(strict("configMapRef", configMapRef=strict("name", name=TEXT))),
    ports=many(strict("name containerPort", name=TEXT, containerPort=COUNT)),
    resources=RESOURCES,
    volumeMounts=many(strict("name mountPath", name=TEXT, mountPath=TEXT, readOnly=FLAG)),
    securityContext=strict(allowPrivilegeEscalation={"const": False}, capabilities=strict(drop=many(TEXT))),
)
POD = strict(
    "containers serviceAccountName automountServiceAccountToken",
    serviceAccountName=TEXT,
    automountServiceAccountToken=FLAG,
    restartPolicy=choice("Never", "Always"),
    securityContext=strict(runAsNonRoot=FLAG, runAsUser=COUNT, fsGroup=COUNT),
    nodeSelector=LABELS,
    tolerations=many(TOLERATION),
    volumes=many(VOLUME),
    containers=many(CONTAINER),
)
TEMPLATE = strict("spec", metadata=METADATA, spec=POD)
START = mapping({"type": "string"})
HEAD = strict("rayStartParams template", rayStartParams=START, template=TEMPLATE)
WORKERS = strict(
    "groupName rayStartParams template minReplicas maxReplicas",
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    rayStartParams=START,
    template=TEMPLATE,
)
CLUSTER = strict(
    "rayVersion authOptions headGroupSpec",
    rayVersion=TEXT,
    authOptions=strict("mode secretName", mode=choice("token"), secretName=TEXT),
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=strict(
        "version",
        version=choice("v1", "v2"),
        idleTimeoutSeconds=COUNT,
        upscalingMode=choice("Default", "Aggressive", "Conservative"),
        resources=RESOURCES,
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs=many(WORKERS),
)
JOB = strict(
    "entrypoint",
    clusterSelector=LABELS,
    submissionMode=choice("K8sJobMode", "HTTPMode"),
    shutdownAfterJobFinishes=FLAG,
    activeDeadlineSeconds=COUNT,
    submitterConfig=strict(backoffLimit=COUNT),
    entrypoint=TEXT,
    submitterPodTemplate=TEMPLATE,
)
SERVICE = strict("serveConfigV2 rayClusterConfig", serveConfigV2=TEXT, rayClusterConfig=CLUSTER)
SELECTOR = strict(matchLabels=LABELS)
PEER = strict(podSelector=SELECTOR, namespaceSelector=SELECTOR)
POLICY = strict(
    "podSelector policyTypes",
    podSelector=SELECTOR,
    policyTypes=many(choice("Ingress", "Egress")),
    ingress=many(strict(from_=many(PEER), ports=many(strict("port", port=COUNT)))),
)
CLAIM = strict(
    "accessModes resources",
    accessModes=many(choice("ReadWriteMany")),
    resources=strict("requests", requests=mapping(QUANTITY)),
)


def kind(name: str, version: str, spec: Schema) -> Schema:
    """A manifest of this kind."""
    fields = {"apiVersion": {"const": version}, "kind": {"const": name}, "metadata": METADATA, "spec": spec}
    return strict("apiVersion kind metadata spec", **fields)


KINDS = {
    "RayCluster": kind("RayCluster", "ray.io/v1", CLUSTER),
    "RayJob": kind("RayJob", "ray.io/v1", JOB),
    "RayService": kind("RayService", "ray.io/v1", SERVICE),
    "NetworkPolicy": kind("NetworkPolicy", "networking.k8s.io/v1", POLICY),
    "PersistentVolumeClaim": kind("PersistentVolumeClaim", "v1", CLAIM),
    "ServiceAccount": strict(
        "apiVersion kind metadata",
        apiVersion={"const": "v1"},
        kind={"const": "ServiceAccount"},
        metadata=METADATA,
        automountServiceAccountToken=FLAG,
    ),
}
