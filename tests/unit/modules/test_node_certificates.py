# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a node certificate, with the real openssl: authority, request, signature, renewal."""

from __future__ import annotations

import grp
import stat
import subprocess

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import openssl
from ansible_collections.k8s4r.robot.plugins.modules import spire_authority, spire_node_certificate, spire_node_request


@pytest.fixture
def authority(call, tmp_path):
    return call(
        spire_authority.main, private_key_path=str(tmp_path / "ca.key"), certificate_path=str(tmp_path / "ca.pem"), common_name="nodes"
    )


@pytest.fixture
def ask(call, tmp_path, authority):
    """The robot's half."""

    def run(check=False, **changes):
        options = {
            "private_key_path": str(tmp_path / "node.key"),
            "certificate_path": str(tmp_path / "node.pem"),
            "common_name": "robot1",
            "authority": authority["certificate"],
        }
        return call(spire_node_request.main, check=check, **{**options, **changes})

    return run


@pytest.fixture
def issue(call, tmp_path):
    """The authority's half."""

    def run(csr, name="robot1", check=False, **changes):
        options = {
            "csr": csr,
            "common_name": name,
            "authority_private_key_path": str(tmp_path / "ca.key"),
            "authority_certificate_path": str(tmp_path / "ca.pem"),
        }
        return call(spire_node_certificate.main, check=check, **{**options, **changes})

    return run


def text(certificate):
    return subprocess.run(["openssl", "x509", "-noout", "-text"], input=certificate, capture_output=True, text=True, check=True).stdout


def test_an_authority_is_made_once(call, authority, tmp_path):
    assert authority["changed"]
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert "CA:TRUE" in text(authority["certificate"])
    again = call(
        spire_authority.main, private_key_path=str(tmp_path / "ca.key"), certificate_path=str(tmp_path / "ca.pem"), common_name="nodes"
    )
    assert (again["changed"], again["certificate"]) == (False, authority["certificate"])


@pytest.mark.usefixtures("authority")
def test_a_group_reads_the_key_also_one_that_was_there(call, ask, tmp_path):
    options = {"private_key_path": str(tmp_path / "ca.key"), "certificate_path": str(tmp_path / "ca.pem"), "common_name": "nodes"}
    assert call(spire_authority.main, check=True, group="daemon", **options)["changed"]
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert call(spire_authority.main, group="daemon", **options)["changed"]
    assert not call(spire_authority.main, group="daemon", **options)["changed"]
    assert ask(group="daemon")["changed"]
    for name in ("ca.key", "node.key"):
        status = (tmp_path / name).stat()
        assert (status.st_uid, grp.getgrgid(status.st_gid).gr_name, stat.S_IMODE(status.st_mode)) == (0, "daemon", 0o640)


def test_a_group_that_is_not_there_is_named(ask):
    assert ask(group="nobody-at-all")["msg"].endswith("there is no group nobody-at-all on this machine")


def test_an_authority_that_lost_its_key_is_not_replaced(call, authority, tmp_path):
    (tmp_path / "ca.key").unlink()
    result = call(
        spire_authority.main, private_key_path=str(tmp_path / "ca.key"), certificate_path=str(tmp_path / "ca.pem"), common_name="nodes"
    )
    assert "restore the key from a backup" in result["msg"]
    assert (tmp_path / "ca.pem").read_text() == authority["certificate"]


@pytest.mark.usefixtures("authority")
def test_an_authority_with_another_key_is_refused(call, tmp_path):
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "ca.key"], check=True
    )
    result = call(
        spire_authority.main, private_key_path=str(tmp_path / "ca.key"), certificate_path=str(tmp_path / "ca.pem"), common_name="nodes"
    )
    assert "does not match the private key" in result["msg"]


def test_an_authority_in_check_mode(call, tmp_path):
    options = {"private_key_path": str(tmp_path / "x.key"), "certificate_path": str(tmp_path / "x.pem"), "common_name": "nodes"}
    assert call(spire_authority.main, check=True, **options) == {
        "changed": True, "certificate": "", "invocation": {"module_args": {**options, "days": 3650, "group": None}},
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_is_requested_issued_and_good(ask, issue, tmp_path):
    request = ask()
    assert (request["changed"], request["due"], request["reason"]) == (True, True, "there is no key yet")
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    certificate = issue(request["csr"])["certificate"]
    shown = text(certificate)
    assert "Digital Signature" in shown
    assert "CA:FALSE" in shown
    (tmp_path / "node.pem").write_text(certificate)
    good = ask()
    assert (good["changed"], good["due"], good["csr"]) == (False, False, "")


def test_check_mode_makes_no_key_and_no_certificate(ask, issue, tmp_path):
    request = ask(check=True)
    assert (request["changed"], request["due"], request["csr"]) == (True, True, "")
    assert not (tmp_path / "node.key").exists()
    assert issue(ask()["csr"], check=True)["certificate"] == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"renew_at": 1.1}, "2.0 of 2.0 days are left"),
        ({"common_name": "robot2"}, "the certificate has another name"),
    ],
)
def test_a_certificate_is_due(ask, issue, tmp_path, changes, reason):
    (tmp_path / "node.pem").write_text(issue(ask()["csr"], days=2)["certificate"])
    request = ask(**changes)
    assert (request["changed"], request["due"], request["reason"]) == (False, True, reason)
    assert "BEGIN CERTIFICATE REQUEST" in request["csr"]


def test_a_certificate_of_another_key_is_due(ask, issue, tmp_path):
    (tmp_path / "node.pem").write_text(issue(ask()["csr"])["certificate"])
    (tmp_path / "node.key").unlink()
    assert ask()["reason"] == "there is no key yet"
    assert ask()["reason"] == "the certificate has another key"


def test_a_certificate_of_another_authority_is_due(ask, issue, call, tmp_path):
    (tmp_path / "node.pem").write_text(issue(ask()["csr"])["certificate"])
    other = call(
        spire_authority.main, private_key_path=str(tmp_path / "o.key"), certificate_path=str(tmp_path / "o.pem"), common_name="nodes"
    )
    assert ask(authority=other["certificate"])["reason"] == "the certificate was issued by another authority"


@pytest.mark.parametrize("subject", ["/CN=robot2", "/CN=robot1/CN=robot2", "/O=fleet/CN=robot1"])
def test_a_robot_cannot_ask_for_another_name(ask, issue, tmp_path, subject):
    ask()
    command = ["openssl", "req", "-new", "-key", tmp_path / "node.key", "-subj", subject]
    csr = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = issue(csr)
    assert result["failed"]
    assert "refused" in result["msg"]
    assert "robot1" in result["msg"]


def test_what_else_a_robot_asks_for_is_not_granted(ask, issue, tmp_path):
    ask()
    command = ["openssl", "req", "-new", "-key", tmp_path / "node.key", "-subj", "/CN=robot1"]
    wish = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=URI:x509pop://a/b:c"]
    csr = subprocess.run([*command, *wish], capture_output=True, text=True, check=True).stdout
    shown = text(issue(csr)["certificate"])
    assert "CA:FALSE" in shown
    assert "CA:TRUE" not in shown
    assert "x509pop" not in shown


@pytest.mark.parametrize("name", ["", "..", "a/b", "a,b", "ro bot", "x" * 65])
def test_names_that_no_agent_can_have(issue, name):
    assert "a node certificate cannot have the name" in issue("nothing", name=name)["msg"]


def test_a_request_that_is_none(issue, authority):
    assert authority["changed"]
    assert issue("nothing")["msg"].startswith("the node certificate for robot1 cannot be issued: openssl req failed")


class Interrupted:
    """openssl as one run calls it, while another run, from the same moment on, makes all that it makes."""

    def __init__(self, before, other):
        self.before, self.other = before, other

    def __call__(self, arguments, *, data=None):
        if arguments[1] == self.before:
            self.before, other = "", self.other
            other()
        done = subprocess.run(arguments, input=data, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("before", ["genpkey", "req"])
def test_two_runs_at_once_make_one_authority(monkeypatch, tmp_path, call, before):
    options = {"private_key_path": str(tmp_path / "ca.key"), "certificate_path": str(tmp_path / "ca.pem"), "common_name": "nodes"}
    run, found = openssl.OpenSSL.__init__, {}

    def other():
        monkeypatch.setattr(openssl.OpenSSL, "__init__", run)
        found.update(call(spire_authority.main, **options), key=(tmp_path / "ca.key").read_text())

    monkeypatch.setattr(openssl.OpenSSL, "__init__", lambda self, _run: run(self, Interrupted(before, other)))
    first = call(spire_authority.main, **options)
    assert first["certificate"] == found["certificate"] == (tmp_path / "ca.pem").read_text()
    assert (tmp_path / "ca.key").read_text() == found["key"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


def test_an_authority_that_another_run_makes_meanwhile_has_its_key(monkeypatch, tmp_path, call):
    """The certificate is looked for before the key: what comes later than it is there, too."""
    options = {"private_key_path": str(tmp_path / "ca.key"), "certificate_path": str(tmp_path / "ca.pem"), "common_name": "nodes"}
    exists, paths = spire_authority.os.path.exists, []

    def looked(path):
        was = exists(path)
        if path in options.values() and path not in paths:
            paths.append(path)
            if len(paths) == 1:
                call(spire_authority.main, **options)
        return was

    monkeypatch.setattr(spire_authority.os.path, "exists", looked)
    assert call(spire_authority.main, **options)["certificate"] == (tmp_path / "ca.pem").read_text()
