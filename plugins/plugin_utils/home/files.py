# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of the controller, one for each robot and kind of knowledge. Each is written as a whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import typing as t
import urllib.parse

from .key import unusable


def path(directory: pathlib.Path, kind: str, host: str) -> pathlib.Path:
    """The file of this kind about a robot."""
    return directory / kind / f"{urllib.parse.quote(host, safe='')}.json"


def read(file: pathlib.Path) -> t.Any:
    """What is in a file; None where nothing can be read."""
    try:
        # Reading a pipe would wait for whoever writes into it.
        return json.loads(file.read_bytes()) if file.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None


def write(file: pathlib.Path, value: t.Mapping[str, t.Any], what: str) -> None:
    """Replace a file. Raises `KeyProblem` where there is no place for it; `what` it tells is in the error."""
    beside = file.with_name(f".{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_text(json.dumps(value, sort_keys=True), encoding="utf-8")
        os.replace(beside, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise unusable(f"{what} cannot be kept in {file.parent}", error) from error
