# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the controller's part of this collection as Python loads any package: with bytecode, which is kept in ``__pycache__``.

Ansible's own loader keeps none, and would compile some 90 files anew in each run: a twentieth of the time of an unchanged one.
It answers for every name below ``ansible_collections``, so the package has a name of its own here.
"""

from __future__ import annotations

import importlib
import pathlib
import sys
import types

NAME = "k8s4r_robot"


def load(module: str) -> types.ModuleType:
    """A module of this collection, by its name below ``plugins``."""
    if NAME not in sys.modules:
        package = types.ModuleType(NAME, "The plugins of k8s4r.robot.")
        package.__path__ = [str(pathlib.Path(__file__).parents[1])]
        sys.modules[NAME] = package
    return importlib.import_module(f"{NAME}.{module}")
