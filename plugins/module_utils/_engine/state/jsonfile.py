# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON files of the engine's state: read whole, replaced whole."""

from __future__ import annotations

import json
import os

from ..system import files


def load(path, default=None):
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return default


def save(path, value):
    files.replace(path, json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8"))


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
