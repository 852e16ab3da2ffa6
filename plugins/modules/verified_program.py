#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: one program of a release, installed only if its checksum is right."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verified_program
short_description: Install a program of a release after its checksum was verified
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Downloads a file of a release, compares its SHA-256 with the checksum file that the release publishes or with a pinned one,
    and extracts one program from it. The program is put in place by rename, so that it is there complete and verified, or not at
    all.
  - The machine itself downloads, so each machine gets and verifies the file for its own architecture.
  - A record beside the program (C(.NAME.json)) contains the digests. While the source is the same and the program has the digest
    of the record, nothing is downloaded. With O(sha256) a source is the same if its file has the same name and that digest. Where another
    source publishes the digest of what is installed, only the record changes. A program that was damaged or replaced is installed again.
options:
  path:
    description: Absolute path of the program. Its directory must exist and have room for the download.
    type: path
    required: true
  url:
    description: The address of the release's file.
    type: str
  src:
    description: The path of the release's file, if it is already on this machine.
    type: path
  sha256:
    description: The SHA-256 that the release's file must have, 64 hexadecimal digits.
    type: str
  sha256_url:
    description:
      - The address of the checksum file that the release publishes, in the format of C(sha256sum), clear-signed or not. The
        signature is not verified.
      - Not used with O(sha256).
    type: str
  member:
    description: The program's path in the release's file, which is a tar archive then. Without it the file is the program itself.
    type: str
  mode:
    description: The mode of the program, as an octal number in quotes.
    type: str
    default: "0755"
  trial:
    description:
      - Arguments with which the new program is run once, before it takes the place of another one. If it cannot be executed, or ends
        with another status than 0, nothing is replaced, and the error says what it printed.
      - Only for the machine that the program is made for. Without this option the program is not run, and neither in check mode.
    type: list
    elements: str
  otherwise:
    description: What to do if O(url) cannot be downloaded. The error message ends with it.
    type: str
  timeout:
    description: How many seconds without an answer end a download.
    type: int
    default: 30
attributes:
  check_mode:
    description:
      - Reports whether the program would be installed, also where another source may publish the same file. Downloads nothing, and
        runs no program.
    support: full
  diff_mode:
    description: Programs are not text.
    support: none
"""

EXAMPLES = r"""
- name: Install the SPIRE agent
  k8s4r.robot.verified_program:
    path: /opt/k8s4r/bin/spire-agent
    url: https://github.com/spiffe/spire/releases/download/v1.13.0/spire-1.13.0-linux-amd64-musl.tar.gz
    sha256_url: https://github.com/spiffe/spire/releases/download/v1.13.0/spire-1.13.0-linux-amd64-musl_sha256sum.txt
    member: spire-1.13.0/bin/spire-agent
    trial: [--version]
"""

RETURN = r"""
sha256:
  description: The verified SHA-256 of the release's file. Absent in check mode if it would be downloaded.
  type: str
  returned: when it is known
"""

import os
import re
import tempfile
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import release
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.module import place

# Bytes that are read of a checksum file.
CHECKSUM_FILE_LIMIT = 1 << 20


def fetch(url: str, parameters: t.Mapping[str, t.Any]) -> t.IO[bytes]:
    """Open a URL. Raises ReleaseError with what went wrong, and what to do if the module was told."""
    otherwise = f"; {parameters['otherwise']}" if parameters["otherwise"] else ""
    try:
        answer: t.IO[bytes] = open_url(url, timeout=parameters["timeout"], http_agent="k8s4r.robot")
    except urllib.error.HTTPError as error:
        raise release.ReleaseError(f"{url} answers {error.code} {error.reason}{otherwise}") from None
    except (OSError, ValueError) as error:
        raise release.ReleaseError(f"{url} cannot be downloaded: {getattr(error, 'reason', error)}{otherwise}") from None
    return answer


def wanted_digest(parameters: t.Mapping[str, t.Any]) -> str:
    """Return the SHA-256 that the release's file must have: the pinned one, or the one that the release publishes."""
    pinned: t.Optional[str] = parameters["sha256"]
    if pinned:
        return pinned.lower()
    with fetch(parameters["sha256_url"], parameters) as answer:
        text = answer.read(CHECKSUM_FILE_LIMIT).decode("utf-8", "replace")
    name = os.path.basename(parameters["url"] or parameters["src"])
    digest = release.published(text, name)
    if digest is None:
        raise release.ReleaseError(f"the checksum file {parameters['sha256_url']} does not name {name}")
    return digest


def tried(module: AnsibleModule, program: str, name: str, arguments: t.Sequence[str]) -> None:
    """Run a program before it is installed. Raises ReleaseError if it does not end well: it may be for another CPU or libc."""
    os.chmod(program, 0o700)
    try:
        status, out, err = module.run_command([program, *arguments], handle_exceptions=False)
    except FileNotFoundError:
        # The file is there: so the kernel means its interpreter.
        reason = "the loader that it needs is missing"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if status == 0:
            return
        reason = f"{' '.join([name, *arguments])} ends with status {status}: {' '.join((err or out).split())}"
    raise release.ReleaseError(f"it does not run on this machine: {reason}; nothing was replaced")


def is_source(known: t.Mapping[str, str], parameters: t.Mapping[str, t.Any]) -> bool:
    """Return whether the program that is recorded came from the source that is wanted."""
    url, pinned = parameters["url"], parameters["sha256"]
    if not pinned:
        return bool(known.get("source") == (url or parameters["src"]))
    if known.get("download") != pinned.lower():
        return False
    # Another host is a mirror. Another name is another release, for which the pin of the former one was not meant.
    return not url or os.path.basename(known["source"]) == os.path.basename(url)


def install(module: AnsibleModule, record: release.Record, known: t.Mapping[str, str]) -> t.Tuple[bool, str]:
    """Download, verify, extract and place the program, unless it is there already. Return whether it was installed, and the verified
    digest of the release's file.
    """
    parameters: t.Mapping[str, t.Any] = module.params
    path, source = parameters["path"], parameters["url"] or parameters["src"]
    wanted = wanted_digest(parameters)
    # Published at this source. A pin says nothing of what is there.
    if not parameters["sha256"] and known.get("download") == wanted:
        record.write(module, source, wanted, known["program"])
        return False, wanted
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".install-") as directory:
        download = parameters["src"] or os.path.join(directory, "download")
        if parameters["url"]:
            with fetch(source, parameters) as answer:
                release.copy(answer, download)
        found = release.sha256(download)
        if found != wanted:
            raise release.ReleaseError(
                f"checksum mismatch: {source} has SHA-256 {found}, but {wanted} is "
                + ("pinned" if parameters["sha256"] else f"published in {parameters['sha256_url']}")
                + "; nothing was installed"
            )
        program, digest = os.path.join(directory, "program"), ""
        if parameters["member"]:
            release.extract(download, parameters["member"], program)
        elif parameters["url"]:
            # It is ours alone, and was read to its end already.
            program, digest = download, found
        else:
            with open(download, "rb") as file:
                release.copy(file, program)
        digest = digest or release.sha256(program)
        if parameters["trial"]:
            tried(module, program, os.path.basename(path), parameters["trial"])
        place(module, program, path, parameters["mode"])
    record.write(module, source, found, digest)
    return True, found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "url": {"type": "str"},
            "src": {"type": "path"},
            "sha256": {"type": "str"},
            "sha256_url": {"type": "str"},
            "member": {"type": "str"},
            "mode": {"type": "str", "default": "0755"},
            "trial": {"type": "list", "elements": "str"},
            "otherwise": {"type": "str"},
            "timeout": {"type": "int", "default": 30},
        },
        mutually_exclusive=[("url", "src")],
        required_one_of=[("url", "src"), ("sha256", "sha256_url")],
        supports_check_mode=True,
    )
    path, pin = module.params["path"], (module.params["sha256"] or "").lower()
    if pin and not re.fullmatch("[0-9a-f]{64}", pin):
        module.fail_json(msg=f"sha256 is {pin!r}, but must be 64 hexadecimal digits")
    record = release.Record(path)
    known = record.read()
    changed, digest = False, known.get("download")
    if not is_source(known, module.params):
        if module.check_mode:
            module.exit_json(changed=True)
        try:
            changed, digest = install(module, record, known)
        except (release.ReleaseError, OSError) as error:
            module.fail_json(msg=f"{path} was not installed: {error}")
    module.exit_json(changed=module.set_mode_if_different(path, module.params["mode"], changed), sha256=digest)


if __name__ == "__main__":
    main()
