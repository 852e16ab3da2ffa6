# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two texts of a unit, for a person who knows the job and not systemd."""

from __future__ import annotations

from . import compare

# What people call directives of systemd, where that is another word. A few units have a word, and so share it.
_CALLED = {
    "command": ("ExecStart",),
    "devices": ("DeviceAllow", "DevicePolicy"),
    "env": ("EnvironmentFile",),
    "groups": ("SupplementaryGroups",),
    "how it is stopped": ("ExecStop", "KillMode", "KillSignal", "SuccessExitStatus", "TimeoutStopFailureMode", "TimeoutStopSec"),
    "isolation": (
        *("InaccessiblePaths", "LockPersonality", "PrivateDevices", "PrivateTmp", "ProtectControlGroups", "ProtectHome", "ProtectHostname"),
        *("ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths", "ReadWritePaths"),
        *("RestrictAddressFamilies", "RestrictNamespaces", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallErrorNumber"),
        *("SystemCallFilter", "TemporaryFileSystem"),
    ),
    "lifecycle": ("DefaultDependencies", "RemainAfterExit", "StopWhenUnneeded", "Type"),
    "limits": (
        *("AllowedCPUs", "CPUAccounting", "CPUAffinity", "CPUQuota", "CPUSchedulingPolicy", "CPUSchedulingPriority", "IOAccounting"),
        *("IOReadIOPSMax", "IOWeight", "IOWriteIOPSMax", "LimitMEMLOCK", "LimitNOFILE", "LimitRTPRIO", "MemoryAccounting", "MemoryHigh"),
        *("MemoryMax", "MemorySwapMax", "Nice", "Slice", "TasksAccounting", "TasksMax"),
    ),
    "log": (
        *("DirectoryMode", "ListenFIFO", "LogLevelMax", "LogRateLimitBurst", "LogRateLimitIntervalSec", "PipeSize", "RemoveOnStop"),
        *("Service", "SocketMode", "StandardError", "StandardOutput", "SyslogIdentifier", "SyslogLevel"),
    ),
    "network mode": ("NetworkNamespacePath",),
    "privileges": ("AmbientCapabilities", "CapabilityBoundingSet", "NoNewPrivileges"),
    "readiness": ("ExecStartPost", "NotifyAccess"),
    "restart policy": ("ExecStopPost", "Restart", "RestartForceExitStatus", "RestartSec", "StartLimitIntervalSec"),
    "schedule": ("AccuracySec", "OnCalendar", "Persistent", "Unit"),
    # They put rendered files into place, before a program starts and while it runs, and have a directory in memory for some.
    "templates": ("ExecReload", "ExecStartPre", "RuntimeDirectory", "RuntimeDirectoryMode"),
    "timeout": ("RuntimeMaxSec", "TimeoutStartSec"),
    # What runs to its end does so once.
    "type": ("ConditionPathExists",),
    "user": ("Group", "SocketUser", "UnsetEnvironment", "User"),
    "volumes": ("BindPaths", "BindReadOnlyPaths"),
    "working directory": ("WorkingDirectory",),
}
_WORDS = {directive: word for word, directives in _CALLED.items() for directive in directives}
# These say nothing that a person has to know: a description, and the order of units, which changes whenever one comes or goes.
_UNTOLD = ("Description", "After", "Before", "Wants", "Requires", "PartOf")


def of_unit(before: str, after: str) -> list[str]:
    """What differs between two texts of a unit, as people call it; of systemd's words only those that none of ours stands for. The program
    of a last hook is what runs when its unit stops.
    """
    names = compare.differing(compare.directives(before), compare.directives(after))
    if before and "NetworkNamespacePath" in names:
        # A task that moves into a pod, or out of one, runs in another way altogether.
        return ["network mode"]
    words = {**_WORDS, "ExecStop": "command"} if "ExecStart" not in compare.directives(after) else _WORDS
    if "Environment=POD_IP" in before and "Environment=POD_IP" in after:
        words = {**words, "Environment": "address of the pod"}
    return sorted({words.get(name, name) for name in names if name not in _UNTOLD})
