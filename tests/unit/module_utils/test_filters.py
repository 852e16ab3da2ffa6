# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter of system calls denies, tried on this machine's kernel."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.checks import filters

# In a process of its own: there is no way back.
PROGRAM = """
import ctypes, os, runpy, stat, sys

libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
runpy.run_path(sys.argv[2])["restrict"](libc)
os.chdir(sys.argv[1])
here = os.open(".", os.O_RDONLY)
os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o644))
file = os.open("file", os.O_RDWR)
tried = {
    "chmod": lambda mode: os.chmod("file", mode),
    "fchmod": lambda mode: os.fchmod(file, mode),
    "fchmodat": lambda mode: os.chmod("file", mode, dir_fd=here),
    "mkdir": lambda mode: os.mkdir(f"d{mode}", mode),
    "mknod": lambda mode: os.mknod(f"n{mode}", mode | stat.S_IFREG),
    "open": lambda mode: os.open(f"o{mode}", os.O_CREAT | os.O_WRONLY, mode),
    "no file made": lambda mode: os.open("file", os.O_RDONLY, mode) and None,
    "personality": lambda mode: libc.personality(mode) == -1 and ctypes.get_errno() or None,
}
for name, try_ in tried.items():
    for mode in (0o755, 0o1755, 0o2755, 0o4755):
        try:
            said = try_(0xFFFFFFFF if mode == 0o755 and name == "personality" else mode)
            print(name, oct(mode), "denied" if name == "personality" and said else "ok")
        except PermissionError:
            print(name, oct(mode), "denied")
"""


def test_no_special_bit_is_given_in_any_way_and_all_else_is_as_it_was(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path), filters.__file__], capture_output=True, text=True, check=True)
    said = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in done.stdout.splitlines()}
    assert len(said) == 32
    for name in ("chmod", "fchmod", "fchmodat", "mkdir", "mknod", "open"):
        found = [said[f"{name} {mode}"] for mode in ("0o755", "0o1755", "0o2755", "0o4755")]
        assert found == ["ok", "ok", "denied", "denied"], name
    assert {said[f"no file made {mode}"] for mode in ("0o755", "0o1755", "0o2755", "0o4755")} == {"ok"}
    # Asked which one there is, and then for others.
    assert [said[f"personality {mode}"] for mode in ("0o755", "0o1755", "0o2755", "0o4755")] == ["ok", "denied", "denied", "denied"]
