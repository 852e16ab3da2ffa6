# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the golden texts anew: ``python3 -m tests.golden``."""

from __future__ import annotations

from tests import golden

if __name__ == "__main__":
    for old in golden.CASES.glob("*.txt"):
        old.unlink()
    for name in golden.names():
        (golden.CASES / f"{name}.txt").write_text(golden.text(name), encoding="utf-8")
