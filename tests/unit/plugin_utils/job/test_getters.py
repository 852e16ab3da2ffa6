# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of artifacts, as go-getter reads them. What it does not read is in bad_inputs.txt."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import Mistake
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.getters import parsed

SHA = "a" * 64
READ = {
    "https://a.example/x/app.tar.gz": {"get": "http", "url": "https://a.example/x/app.tar.gz", "name": "app.tar.gz", "archive": "tar.gz"},
    "http://a.example:8080/app.tgz": {"url": "http://a.example:8080/app.tgz", "archive": "tar.gz"},
    "http::http://a.example/x": {"get": "http", "url": "http://a.example/x"},
    "https://[::1]:1/x": {"url": "https://[::1]:1/x"},
    "https://a.example/my%20app.bin": {"url": "https://a.example/my%20app.bin", "name": "my app.bin", "archive": ""},
    "https://u:p%40w@a.example/x?a=1&archive=false": {"url": "https://a.example/x?a=1", "user": "u", "password": "p@w"},
    f"https://a.example/x.zip?checksum=sha256:{SHA.upper()}": {"url": "https://a.example/x.zip", "checksum": f"sha256:{SHA}"},
    f"https://a.example/x?checksum={'b' * 32}": {"checksum": f"md5:{'b' * 32}"},
    "https://a.example/x.zip?archive=false": {"archive": ""},
    "https://a.example/x?archive=tgz": {"archive": "tar.gz"},
    "https://a.example/d?filename=x.json": {"name": "x.json", "archive": ""},
    "https://a.example/x.tar.xz//a/b?token=1": {"url": "https://a.example/x.tar.xz?token=1", "subdir": "a/b"},
    "git::https://a.example/x.git//sub?ref=v1&depth=1": {
        "get": "git",
        "url": "https://a.example/x.git",
        "subdir": "sub",
        "ref": "v1",
        "depth": 1,
    },
    "git::http://a.example/x": {"get": "git", "url": "http://a.example/x", "name": "x", "archive": "tar"},
    "git::ssh://git@a.example:22/x.git": {"url": "ssh://git@a.example:22/x.git", "user": ""},
    "git@a.example:b/c.git//d?ref=main": {"get": "git", "url": "ssh://git@a.example/b/c.git", "subdir": "d", "ref": "main"},
    "git::git@a.example:b/c.git": {"url": "ssh://git@a.example/b/c.git"},
    "github.com/a/b": {"get": "git", "url": "https://github.com/a/b.git", "name": "b"},
    "github.com/a/b//c?ref=v1": {"url": "https://github.com/a/b.git", "subdir": "c", "ref": "v1"},
    "github.com/a/b/c/d": {"url": "https://github.com/a/b.git", "subdir": "c/d"},
    "s3::https://s3-eu-west-1.amazonaws.com/b/x.tar.gz": {"get": "s3", "region": "eu-west-1", "archive": "tar.gz", "name": "x.tar.gz"},
    "s3::https://b.s3.us-west-2.amazonaws.com/x?version=7": {
        "url": "https://b.s3.us-west-2.amazonaws.com/x?versionId=7",
        "region": "us-west-2",
    },
    "s3.amazonaws.com/b/x": {"get": "s3", "url": "https://s3.amazonaws.com/b/x", "region": "us-east-1"},
    "s3::http://127.0.0.1:9000/b/x?aws_access_key_id=a&aws_access_key_secret=b%2Fc&aws_access_token=t&region=r": {
        "url": "http://127.0.0.1:9000/b/x",
        "user": "a",
        "password": "b/c",
        "token": "t",
        "region": "r",
    },
    "/opt/x.tar.gz": {"get": "file", "url": "/opt/x.tar.gz", "archive": "tar.gz", "name": "x.tar.gz"},
    "file:///opt/x.zip//a": {"get": "file", "url": "/opt/x.zip", "subdir": "a"},
    "file::/opt/x": {"get": "file", "url": "/opt/x"},
}


@pytest.mark.parametrize("source", READ)
def test_an_address_in_its_parts(source):
    found = parsed(source, {})._asdict()
    assert {name: found[name] for name in READ[source]} == READ[source]


@pytest.mark.parametrize(
    "source", ["https://[::1/x.tar", "https://bob:hunter2@h\u2100/x.tar", "https://bob:hunter2@h:x1/x", "git::ssh://[/x"]
)
def test_an_address_that_is_none_is_not_repeated(source):
    with pytest.raises(Mistake, match="is not the address of a server") as found:
        parsed(source, {})
    assert "hunter2" not in str(found.value)


def test_half_a_key_of_s3_is_none():
    with pytest.raises(Mistake, match="S3 key is incomplete"):
        parsed("s3::https://s3.amazonaws.com/b/x", {"aws_access_key_id": "a"})


def test_options_beside_the_address_win():
    assert parsed("git::https://a.example/x?ref=v1", {"ref": "v2"}).ref == "v2"
    assert parsed("git@a.example:b/c", {"sshkey": "a2V5"}).key == "key\n"


def test_messages_show_nothing_that_may_be_a_token():
    assert parsed("https://u:p@a.example/x?token=1", {}).shown == "https://a.example/x"
    assert parsed("git::https://u:p@a.example/x?ref=v1", {}).shown == "https://a.example/x at v1"
