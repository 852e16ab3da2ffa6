# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the drivers docker and podman."""

from ...declare.keys import Bytes, key
from ...declare.record import record
from ..vocabulary import ADDRESS, NAME, PLACE, SUBSTITUTED, DockerNetwork, Pull
from .volumes import Volume

# A reference of the OCI distribution specification: a name in lower case with an optional host, tag and digest.
IMAGE = r"[a-z0-9]([A-Za-z0-9.-]*(:[0-9]+)?)(/[a-z0-9._-]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?"


@record
class PublishedPort:
    """A port of the container that is published at a port of the robot, in networkMode bridge."""

    label: str = key("Label of a port of the group.", pattern=NAME)
    value: int | None = key(
        "The robot's port, if the label is declared nowhere else: the same as a port of the group's network with `static`.",
        default=None,
        minimum=1,
        maximum=65535,
    )
    to: int | None = key(
        "Port on which the program listens in the container. Default: the port's own `to`, or the robot's port.",
        default=None,
        minimum=1,
        maximum=65535,
    )
    host_ip: str | None = key(
        "Address of the robot, for a label that is declared only here. Default: every address.",
        name="hostIP",
        default=None,
        pattern=ADDRESS,
        expected="an IP address of the robot",
    )


@record
class Auth:
    """A login for the registry. The robot does not keep it."""

    username: str = key("Name of the user.", secret=True)
    password: str = key("The password, or a token.", secret=True, names_kept=True)


@record
class DockerConfig:
    """A container, for the drivers docker and podman."""

    image: str = key(
        "The image, written as for `docker pull`.",
        substituted=True,
        pattern=rf"{IMAGE}|{SUBSTITUTED}",
        expected="an image, such as registry.example:5000/team/app:1.2, its name in lower case",
    )
    command: str | None = key("The program, instead of the image's own command.", default=None, substituted=True)
    args: tuple[str, ...] = key("Its arguments. Without `command`, they go to the image's entrypoint.", factory=tuple, substituted=True)
    entrypoint: tuple[str, ...] = key("Replaces the image's own entrypoint.", factory=tuple, ours=True, substituted=True)
    work_dir: str | None = key(
        "Working directory in the container. Default: the image's.", default=None, pattern=PLACE, expected="an absolute path"
    )
    ports: tuple[PublishedPort, ...] = key(
        "Ports of the container that the robot publishes, in networkMode bridge. In a pod, all ports of the group are.", factory=tuple
    )
    volumes: tuple[Volume, ...] = key("Directories and files of the robot that the container sees.", factory=tuple)
    network_mode: DockerNetwork = key(
        "`host`: the robot's network, where the group's upstreams are. `bridge`: the engine's own, with `ports`. `none`: no network. In a "
        "pod, a container has the pod's network, and this is left out.",
        default=DockerNetwork.HOST,
    )
    pull: Pull = key(
        "`missing`: the registry is asked if the robot does not have the image. `always`: it is asked whenever a change is deployed. "
        "`never`: the robot must have it.",
        default=Pull.MISSING,
        ours=True,
    )
    load: str | None = key(
        "A file, written by `docker save`, from which the image is loaded instead of from a registry: an absolute path on the robot; the "
        "path of an artifact of the task, such as `local/image.tar`; or a file on the controller, relative to the job file.",
        default=None,
        ours=True,
        pattern=rf"{PLACE}|[A-Za-z0-9._][^\x00-\x1f:]*",
        expected="an absolute path on the robot, a file of an artifact, local/..., or a path relative to the job file",
    )
    auth: Auth | None = key("The login for a registry that needs one.", default=None, ours=True)
    shm_size: Bytes | None = key(
        "Size of `/dev/shm`. Default: the engine's, 64Mi. Not in a pod, whose `/dev/shm` is shared.",
        default=None,
        ours=True,
        minimum=4096,
        maximum=2**50,
    )
    gpus: int | None = key(
        "How many of the robot's GPUs the container sees, -1 for all. It needs Docker, with NVIDIA's container runtime.",
        default=None,
        ours=True,
        minimum=-1,
        maximum=64,
    )
