"""What every pod that we deploy must be like. Each policy is a function of a rendered pod that says what is wrong."""

from __future__ import annotations

from typing import Any

Pod = dict[str, Any]


def not_root(pod: Pod) -> str | None:
    """A number, so that the kubelet can tell."""
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser") or not security.get("runAsGroup"):
        return "runs as root, or as a name"
    return None


def confined(pod: Pod) -> str | None:
    """The runtime's own filter of system calls."""
    profile = pod.get("securityContext", {}).get("seccompProfile", {}).get("type")
    return None if profile == "RuntimeDefault" else "has no seccomp profile"


def alone(pod: Pod) -> str | None:
    """Nothing of the node, and no word to Kubernetes."""
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")):
        return "shares something with its node"
    if pod.get("automountServiceAccountToken") is not False:
        return "has a token for Kubernetes"
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        return "mounts a path of its node"
    return None


def locked(pod: Pod) -> str | None:
    """Each container: a file system that can't be written, no capability, no way to more rights."""
    for container in _containers(pod):
        security = container.get("securityContext", {})
        if security.get("readOnlyRootFilesystem") is not True:
            return f"{container['name']}: its file system can be written"
        if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
            return f"{container['name']}: may get more rights"
        if security.get("capabilities") != {"drop": ["ALL"]}:
            return f"{container['name']}: has capabilities"
    return None


def bounded(pod: Pod) -> str | None:
    """Asks for what it needs, and has a limit for memory."""
    for container in _containers(pod):
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            return f"{container['name']}: has no requests, or no limit for memory"
    return None


def pinned(pod: Pod) -> str | None:
    """An image that is the same tomorrow."""
    for container in _containers(pod):
        image = container["image"]
        if "@sha256:" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest")):
            return f"{container['name']}: has an image without a version"
    return None


def without_secrets(pod: Pod) -> str | None:
    """Secrets are files: a variable shows in `kubectl describe`, in dumps and in children."""
    for container in _containers(pod):
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                return f"{container['name']}: has a secret in the variable {variable['name']}"
        if any("secretRef" in source for source in container.get("envFrom", [])):
            return f"{container['name']}: has secrets in variables"
    return None


def mounted(pod: Pod) -> str | None:
    """Every mount has its volume, and all but /tmp are read-only."""
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in _containers(pod):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                return f"{container['name']}: mounts {mount['name']}, which is no volume"
            if mount["mountPath"] != "/tmp" and mount.get("readOnly") is not True:
                return f"{container['name']}: can write {mount['mountPath']}"
    return None


POLICIES = (not_root, confined, alone, locked, bounded, pinned, without_secrets, mounted)


def _containers(pod: Pod) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]
