# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rest of this package uses of Ansible: the types of AnsibleModule's methods, and its way to place a file."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:

    class Run(t.Protocol):
        """AnsibleModule.run_command: runs a command with this input, returns its exit status, output and errors."""

        def __call__(self, args: t.List[str], *, data: t.Optional[str] = None) -> t.Tuple[int, str, str]: ...

    class Module(t.Protocol):
        """AnsibleModule, as far as it places files."""

        def atomic_move(self, src: str, dest: str, *, keep_dest_attrs: bool) -> None: ...

        def set_mode_if_different(self, path: str, mode: str, changed: bool) -> bool: ...

        def set_default_selinux_context(self, path: str, changed: bool) -> bool: ...


def place(module: Module, source: str, path: str, mode: str) -> None:
    """Rename a file to ``path``, with this mode (octal) and the SELinux context that belongs there. Raises OSError.

    What was at ``path`` is replaced in one step. Its owner and mode do not matter. Both paths must be on one file system.
    """
    try:
        module.atomic_move(source, path, keep_dest_attrs=False)
    except OSError:
        raise
    except Exception as error:
        # Ansible has no more specific exception for a move that fails.
        raise OSError(str(error)) from error
    module.set_mode_if_different(path, mode, False)
