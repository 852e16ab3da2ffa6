# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the controller. Its modules are imported as Python imports any package, with the bytecode kept in `__pycache__`.

Ansible's own loader would compile each of these files again in every run, which takes longer than a robot's answer.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
import typing as t


class BytecodeFinder:
    """Finds the modules below this package; what it does not find is left to Ansible's finder."""

    @staticmethod
    def find_spec(
        fullname: str, path: t.Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not path or not fullname.startswith(f"{__name__}."):
            return None
        loaders = (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)
        return importlib.machinery.FileFinder(path[0], loaders).find_spec(fullname, target)


sys.meta_path.insert(0, BytecodeFinder)
