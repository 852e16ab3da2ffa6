# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a robot downloads for a task."""

import typing as t

from ...declare.keys import key
from ...declare.record import record
from ..vocabulary import HEADER, GetterMode


@record
class Artifact:
    """Something that the robot downloads before the task starts."""

    getter_source: str = key(
        "Where it is, as go-getter writes it: `https://...`, `git::https://...`, `git@host:path`, `github.com/owner/repository`, "
        "`s3::https://...`, or a path on the robot. `//directory` after it takes only that directory; `?checksum=sha256:...` says which "
        "bytes it must have.",
        substituted=True,
        secret=True,
        pattern=r"[^\x00]+",
        expected="an address",
        meant_by=("source",),
    )
    getter_options: t.Mapping[str, str] = key(
        "Options. For a file: `checksum`, `archive` (a format such as `tar.gz`, or `false`) and `filename`. For a repository: `ref`, "
        "`depth` and `sshkey`. For an object in S3 also: `aws_access_key_id`, `aws_access_key_secret`, `aws_access_token`, `region` and "
        "`version`.",
        factory=dict,
        substituted=True,
        secret=True,
        key_pattern=r"[a-z0-9_]+",
        names=("an option", "use small letters"),
        meant_by=("options",),
    )
    getter_mode: GetterMode = key(
        "`any`: an archive is unpacked into `relativeDest`, any other file is put there. `file`: `relativeDest` is the file itself. `dir`: "
        "only an archive or a repository is accepted.",
        default=GetterMode.ANY,
        meant_by=("mode",),
    )
    relative_dest: str = key(
        "Where it goes: the task's `local/` or the group's `alloc/`, or a path below one of them. They can also be written as "
        "`${NOMAD_TASK_DIR}` and `${NOMAD_ALLOC_DIR}`.",
        default="local/",
        substituted=True,
        pattern=r"[^\x00-\x1f]+",
        expected="a path",
        meant_by=("destination",),
    )
    headers: t.Mapping[str, str] = key(
        "Headers of the request. Only for http, https and s3.",
        factory=dict,
        ours=True,
        substituted=True,
        secret=True,
        key_pattern=HEADER,
        names=("a header", "use letters, digits and -"),
    )
