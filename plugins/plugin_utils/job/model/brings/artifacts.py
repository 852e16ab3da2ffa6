# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a task brings along."""

import typing as t

from ...declare.keys import key
from ...declare.record import record
from ..vocabulary import HEADER, GetterMode


@record
class Artifact:
    """Something that the robot downloads before the task starts."""

    getter_source: str = key(
        "Where it is, as go-getter writes it: `https://...`, `git::https://...`, `git@host:path`, `github.com/owner/repository`, "
        "`s3::https://...`, or a path of the robot. `//directory` behind it takes only that; `?checksum=sha256:...` is what it must be.",
        substituted=True,
        secret=True,
        pattern=r"[^\x00]+",
        expected="an address",
    )
    getter_options: t.Mapping[str, str] = key(
        "Options: `checksum`, `archive` (a form such as `tar.gz`, or `false`) and `filename` of a file, `ref`, `depth` and `sshkey` of a "
        "repository, `aws_access_key_id`, `aws_access_key_secret`, `aws_access_token`, `region` and `version` of an object of S3.",
        factory=dict,
        substituted=True,
        secret=True,
        key_pattern=r"[a-z0-9_]+",
        names=("an option", "use small letters"),
    )
    getter_mode: GetterMode = key(
        "`any`: an archive is unpacked into `relativeDest`, a file is put there. `file`: `relativeDest` is the file. `dir`: only an "
        "archive or a repository will do.",
        default=GetterMode.ANY,
    )
    relative_dest: str = key(
        "Where it goes: `local/` and what is below, or `alloc/` of the group. `${NOMAD_TASK_DIR}` and `${NOMAD_ALLOC_DIR}` are the same.",
        default="local/",
        substituted=True,
        pattern=r"[^\x00-\x1f]+",
        expected="a path",
    )
    headers: t.Mapping[str, str] = key(
        "Headers of the request, for http, https and s3.",
        factory=dict,
        ours=True,
        substituted=True,
        secret=True,
        key_pattern=HEADER,
        names=("a header", "use letters, digits and -"),
    )
