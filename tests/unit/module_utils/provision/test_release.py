# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksum files as releases publish them."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.release import published

ONE, TWO = "1" * 64, "a" * 64

SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

{ONE}  envoy-1.40.0-linux-x86_64
{TWO}  envoy-1.40.0-linux-aarch_64
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE
-----END PGP SIGNATURE-----
"""


@pytest.mark.parametrize(
    ("text", "name", "digest"),
    [
        (SIGNED, "envoy-1.40.0-linux-x86_64", ONE),
        (SIGNED, "envoy-1.40.0-linux-aarch_64", TWO),
        (SIGNED, "linux-x86_64", None),
        (SIGNED, "", None),
        (f"{TWO.upper()} *./dist/tool\n", "tool", TWO),
        (f"{ONE}\n", "anything", ONE),
        ("", "tool", None),
        ("<html>404</html>", "tool", None),
        (f"{ONE[:-1]}  tool\n", "tool", None),
    ],
)
def test_published(text, name, digest):
    assert published(text, name) == digest
