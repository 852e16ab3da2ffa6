# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of artifacts as go-getter writes them: `git::https://host/repo//subdir?ref=v1`, and the short forms.

Errors repeat no part of an address, since a password may be in it.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from urllib import parse

from .errors import Mistake, listed, nearest

# The options of each getter: in the address after `?`, or in getterOptions.
_OF_FILES = ("archive", "checksum", "filename")
OPTIONS = {
    "http": _OF_FILES,
    "git": ("depth", "ref", "sshkey"),
    "s3": (*_OF_FILES, "aws_access_key_id", "aws_access_key_secret", "aws_access_token", "region", "version"),
    "file": _OF_FILES,
}
# How many hexadecimal digits each has.
CHECKSUMS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
ARCHIVES = ("zip", "tar", *(f"{tar}{packed}" for tar in ("tar.", "") for packed in ("gz", "bz2", "xz", "zst")))
_SHORT = {"tgz": "tar.gz", "tbz2": "tar.bz2", "txz": "tar.xz", "tzst": "tar.zst"}
NOT_UNPACKED = ("false", "0", "f", "F", "FALSE", "False")
# Hosts whose addresses without a scheme are repositories, and how many parts of the path name the repository.
_HOSTS = {"github.com": 2, "gitlab.com": 2, "bitbucket.org": 2}
_SCP = re.compile(r"(?:([A-Za-z0-9_.-]+)@)([A-Za-z0-9.-]+):(?!//)(.+)")
_FORCED = re.compile(r"([A-Za-z0-9]+)::(.+)", re.DOTALL)
# Amazon's own hosts. Most names contain the region.
_AMAZON = re.compile(r"(?:[^/]+\.)?s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
_INSTEAD = "name an archive by https, or a repository by git::"


class Getter(t.NamedTuple):
    """An address in its parts. `url` has neither credentials nor options; `name` is what a single file is called."""

    get: str
    url: str
    user: str = ""
    password: str = ""
    subdir: str = ""
    name: str = ""
    archive: str = ""
    checksum: str = ""
    ref: str = ""
    depth: int = 0
    key: str = ""
    region: str = ""
    token: str = ""

    @property
    def shown(self) -> str:
        """The address as messages show it, without anything that may be a token."""
        return self.url.partition("?")[0] + (f" at {self.ref}" if self.ref else "")


def parsed(source: str, options: t.Mapping[str, str]) -> Getter:
    """Raises `Mistake`."""
    forced, rest = _forced(source.strip())
    rest, forced = _detected(rest, forced)
    if forced == "file" or rest.startswith(("/", "file://")):
        get, address = "file", rest.removeprefix("file://")
    else:
        scheme = rest.partition("://")[0] if "://" in rest else ""
        if not scheme:
            raise Mistake(
                "is not the address of a file", "write https://..., git::https://..., or the absolute path of a file on the robot"
            )
        get, address = forced or scheme, rest
    get = {"ssh": "git", "https": "http"}.get(get, get)
    if get not in OPTIONS:
        raise Mistake(f"{get}: is not supported", _INSTEAD)
    address, subdir, query = _split(address, get)
    values = _options(get, query, options)
    return _file(address, subdir, values) if get == "file" else _remote(get, address, subdir, query, values)


def _forced(source: str) -> tuple[str, str]:
    match = _FORCED.fullmatch(source)
    return (match.group(1).lower(), match.group(2)) if match else ("", source)


def _detected(rest: str, forced: str) -> tuple[str, str]:
    """The address and its getter, with short forms written out."""
    host, _slash, path = rest.partition("/")
    match = _SCP.fullmatch(rest)
    if match and "://" not in rest:
        return f"ssh://{match.group(1)}@{match.group(2)}/{match.group(3)}", forced or "git"
    if _AMAZON.fullmatch(host) and forced in ("", "s3"):
        return f"https://{rest}", "s3"
    if host in _HOSTS and forced in ("", "git"):
        names, query = path.partition("?")[0], path.partition("?")[2]
        whole, _two, subdir = names.partition("//")
        parts = whole.strip("/").split("/")
        repository, inner = "/".join(parts[: _HOSTS[host]]), "/".join([*parts[_HOSTS[host] :], *([subdir] if subdir else [])])
        if len(parts) < _HOSTS[host]:
            raise Mistake("names no repository", f"write {host}/owner/repository")
        url = f"https://{host}/{repository}{'' if repository.endswith('.git') else '.git'}"
        return url + (f"//{inner}" if inner else "") + (f"?{query}" if query else ""), "git"
    return rest, forced


def _split(address: str, get: str) -> tuple[str, str, list[tuple[str, str]]]:
    """The address, the directory in it that is wanted (after `//`), and the query (after `?`)."""
    before, _mark, query = address.partition("?")
    scheme, separator, path = before.partition("://") if get != "file" else ("", "", before)
    path, _two, subdir = path.partition("//")
    subdir = subdir.strip("/")
    if ".." in subdir.split("/"):
        raise Mistake("the directory after // leads out of it", "write a directory of the archive or repository")
    return scheme + separator + path, subdir, parse.parse_qsl(query, keep_blank_values=True)


def _options(get: str, query: t.Sequence[tuple[str, str]], options: t.Mapping[str, str]) -> dict[str, str]:
    known = OPTIONS[get]
    for name in options:
        if name not in known:
            close = nearest(name, known)
            remedy = f"did you mean {close}?" if close else f"write {listed(known)}"
            raise Mistake(f"{name} is not an option of {get}", remedy)
    return {**{name: value for name, value in query if name in known}, **options}


def _file(path: str, subdir: str, values: t.Mapping[str, str]) -> Getter:
    if not path.startswith("/") or ".." in path.split("/"):
        raise Mistake("is not an absolute path on the robot", "write file:///path/of/a/file")
    name = _name(values.get("filename") or path.rpartition("/")[2])
    archive = _archive(name if "filename" not in values else path, values.get("archive", ""))
    _check_subdir(archive, subdir)
    return Getter("file", path, subdir=subdir, name=name, archive=archive, checksum=_checksum(values.get("checksum", "")))


def _remote(get: str, address: str, subdir: str, query: t.Sequence[tuple[str, str]], values: t.Mapping[str, str]) -> Getter:
    parts, host = _server(get, address)
    url, user, password = _without_login(parts, host, [(name, value) for name, value in query if name not in OPTIONS[get]])
    if get == "git":
        name = _name(parts.path.rstrip("/").rpartition("/")[2].removesuffix(".git"))
        found = Getter("git", url, user, password, subdir, name, "tar")
        return found._replace(ref=values.get("ref", ""), depth=_depth(values.get("depth", "")), key=_key(values.get("sshkey", "")))
    last = parse.unquote(parts.path.rpartition("/")[2])
    archive = _archive(last, values.get("archive", ""))
    _check_subdir(archive, subdir)
    name = _name(values.get("filename") or last)
    found = Getter(get, url, user, password, subdir, name, archive, _checksum(values.get("checksum", "")))
    return _object(found, host, values) if get == "s3" else found


def _server(get: str, address: str) -> tuple[parse.SplitResult, str]:
    """The parts of an address of a server, and its host."""
    schemes = ("https", "http", "ssh", "git") if get == "git" else ("https", "http")
    try:
        parts = parse.urlsplit(address)
        # The port is asked for here, because it raises where it is not a number.
        host, _port = parts.hostname, parts.port
    except ValueError:
        # What it says may repeat a password.
        parts, host = parse.urlsplit(""), None
    if parts.scheme not in schemes or not host or re.search(r"[\x00-\x20\x7f]", address):
        raise Mistake("is not the address of a server", f"write {listed(f'{scheme}://' for scheme in schemes)} and a host; a space is %20")
    return parts, host


def _without_login(parts: parse.SplitResult, host: str, query: t.Sequence[tuple[str, str]]) -> tuple[str, str, str]:
    """The address without a user and password, and these."""
    # With ssh, the user is part of the address, and no secret.
    login = f"{parts.username}@" if parts.scheme == "ssh" and parts.username else ""
    at = login + (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    url = parse.urlunsplit((parts.scheme, at, parts.path, parse.urlencode(query), ""))
    return (url, "", "") if login else (url, parse.unquote(parts.username or ""), parse.unquote(parts.password or ""))


def _object(found: Getter, host: str, values: t.Mapping[str, str]) -> Getter:
    """An object in S3, which has keys instead of a user before the host."""
    key, secret = values.get("aws_access_key_id", ""), values.get("aws_access_key_secret", "")
    if found.user or found.password or bool(key) != bool(secret):
        raise Mistake("the S3 key is incomplete", "write both aws_access_key_id and aws_access_key_secret, or neither")
    amazon = _AMAZON.fullmatch(host)
    region = values.get("region") or (amazon and amazon.group(1)) or "us-east-1"
    version = parse.urlencode({"versionId": values["version"]}) if values.get("version") else ""
    url = found.url + (("&" if "?" in found.url else "?") + version if version else "")
    return found._replace(url=url, user=key, password=secret, region=region, token=values.get("aws_access_token", ""))


def _name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or re.search(r"[\x00-\x1f\x7f]", name) or len(name.encode("utf-8", "replace")) > 200:
        raise Mistake("names no file", "write the option filename, without a slash")
    return name


def _archive(name: str, option: str) -> str:
    if option in NOT_UNPACKED:
        return ""
    form = _SHORT.get(option, option)
    if form and form not in ARCHIVES:
        raise Mistake("archive is not a format that can be unpacked", f"write {listed((*ARCHIVES, 'false'))}")
    lower = name.lower()
    endings = sorted((*ARCHIVES, *_SHORT), key=len, reverse=True)
    found = next((ending for ending in endings if lower.endswith(f".{ending}")), "")
    return form or _SHORT.get(found, found)


def _check_subdir(archive: str, subdir: str) -> None:
    if subdir and (not archive or ("." not in archive and archive not in ("zip", "tar"))):
        raise Mistake("only an archive or a repository can have a directory after //", "remove it, or write the option archive")


def _checksum(text: str) -> str:
    if not text:
        return ""
    algorithm, colon, digest = text.partition(":")
    if algorithm == "file":
        raise Mistake("checksum: a file with checksums is not supported", "write the digest itself, such as sha256:...")
    if not colon:
        algorithm, digest = next((name for name, length in CHECKSUMS.items() if length == len(text)), ""), text
    if algorithm not in CHECKSUMS:
        raise Mistake("checksum is not of a known kind", f"write one of {listed(f'{name}:...' for name in CHECKSUMS)}")
    if not re.fullmatch(f"[0-9a-fA-F]{{{CHECKSUMS[algorithm]}}}", digest):
        raise Mistake(f"checksum: {algorithm} has {CHECKSUMS[algorithm]} hexadecimal digits", f"this one has {len(digest)} characters")
    return f"{algorithm}:{digest.lower()}"


def _depth(text: str) -> int:
    if text and not re.fullmatch(r"[0-9]{1,6}", text):
        raise Mistake("depth is not a number", "write how many commits are fetched, or remove it")
    return int(text or 0)


def _key(text: str) -> str:
    """The private key, with a newline at its end: ssh takes one without it for damaged."""
    if not text:
        return ""
    try:
        return base64.b64decode(text, validate=True).decode("ascii").rstrip("\n") + "\n"
    except (binascii.Error, ValueError):
        raise Mistake("sshkey is not a private key in base64", "write what `base64 -w0 id_ed25519` prints") from None
