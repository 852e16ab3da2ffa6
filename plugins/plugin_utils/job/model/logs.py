# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log files of a task."""

from ..declare.keys import Bytes, key
from ..declare.record import record
from .vocabulary import OnFull


@record
class Logs:
    """The files `stdout.log` and `stderr.log` of a task, and for each of them older ones: `stdout.log.1` is newer than `stdout.log.2`."""

    max_files: int = key("Files of each of the two, with the one that is written. The oldest goes.", default=10, minimum=1, maximum=1000)
    max_file_size: Bytes = key(
        "A file of this size is put aside, and the next line begins a new one.",
        default=Bytes(10 * 2**20),
        minimum=64 * 2**10,
        maximum=2**40,
    )
    on_full: OnFull = key(
        "While the robot's disk is full, `block` has the task wait when it writes; `drop` drops its lines, and the log says how many.",
        default=OnFull.BLOCK,
    )
