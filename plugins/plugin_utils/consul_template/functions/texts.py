# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of consul-template on texts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from ..faults import Refusal
from ..values import Texts
from .declare import Functions

FUNCTIONS = Functions()
# What Go trims as white space.
_BLANKS = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
# What Go or Python does not know, or what they understand differently.
_OTHERWISE = re.compile(
    r"\\[0-9CEGKQRXpPzZ]|\[\[:|\(\?(?![ims]*\)|:|P<)|[*+?}]\+|(?<!^)\(\?[ims]+\)|\\[^A-Za-z0-9_\\.+*?()|\[\]{}^$/ \"'`:,;<>=!@#%&~-]"
)
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))?", re.ASCII)


@FUNCTIONS.takes("join", str, list)
def _join(separator: str, texts: list[str]) -> str:
    if not all(isinstance(text, str) for text in texts):
        raise Refusal("join takes a list of texts")
    return separator.join(texts)


@FUNCTIONS.takes("split", str, str)
def _split(separator: str, text: str) -> list[str]:
    text = text.strip(_BLANKS)
    if not text:
        return []
    return text.split(separator) if separator else list(text)


@FUNCTIONS.takes("splitToMap", str, str, str)
def _split_to_map(between: str, inside: str, text: str) -> Texts:
    if not between or not inside:
        raise Refusal("splitToMap needs separators that are not empty")
    pairs = [part.partition(inside) for part in text.strip(_BLANKS).split(between)]
    return Texts({key: value for key, found, value in pairs if found})


@FUNCTIONS.takes("toUpper", str)
def _to_upper(text: str) -> str:
    return "".join(char.upper() if len(char.upper()) == 1 else char for char in text)


@FUNCTIONS.takes("toLower", str)
def _to_lower(text: str) -> str:
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


@FUNCTIONS.takes("toTitle", str)
def _to_title(text: str) -> str:
    if not text.isascii():
        raise Refusal("toTitle works for ASCII only", "write the text as it should be")
    return re.sub(r"[A-Za-z0-9_]+(?:['.:](?=[A-Za-z])[A-Za-z0-9_]+)*", _titled, text)


def _titled(match: re.Match[str]) -> str:
    word = match.group()
    first = re.search("[A-Za-z]", word)
    return word[: first.start()] + word[first.start()].upper() + word[first.end() :] if first else word


@FUNCTIONS.takes("trim", str, str)
def _trim(cut: str, text: str) -> str:
    return text.strip(cut) if cut else text


@FUNCTIONS.takes("trimPrefix", str, str)
def _trim_prefix(prefix: str, text: str) -> str:
    return text.removeprefix(prefix)


@FUNCTIONS.takes("trimSuffix", str, str)
def _trim_suffix(suffix: str, text: str) -> str:
    return text.removesuffix(suffix)


@FUNCTIONS.takes("trimSpace", str)
def _trim_space(text: str) -> str:
    return text.strip(_BLANKS)


@FUNCTIONS.takes("replaceAll", str, str, str)
def _replace_all(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


@FUNCTIONS.takes("indent", int, str)
def _indent(blanks: int, text: str) -> str:
    if not 0 <= blanks <= 1000:
        raise Refusal("indent takes a number from 0 to 1000")
    return "\n".join(" " * blanks + line if line else line for line in text.split("\n"))


@FUNCTIONS.takes("regexMatch", str, str)
def _regex_match(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@FUNCTIONS.takes("regexReplaceAll", str, str, str)
def _regex_replace_all(pattern: str, replacement: str, text: str) -> str:
    made, end, before = [], 0, -1
    for match in _compiled(pattern).finditer(text):
        if match.start() == match.end() == before:
            # Go skips an empty match right after another match.
            continue
        made += [text[end : match.start()], _expanded(replacement, match)]
        end = before = match.end()
    return "".join([*made, text[end:]])


def _compiled(pattern: str) -> re.Pattern[str]:
    if _OTHERWISE.search(pattern):
        raise Refusal("the regular expression has something that is not supported", "write a simpler one")
    flags = re.match(r"\(\?([ims]+)\)", pattern)
    if not (flags and "m" in flags.group(1)):
        # Python's $ is also right before a last line break.
        pattern = re.sub(r"(\\.|\[\^?\]?(?:\\.|[^\]])*\])|\$", lambda match: match.group(1) or r"\Z", pattern, flags=re.DOTALL)
    try:
        return re.compile(pattern, re.ASCII if pattern.isascii() else re.UNICODE)
    except re.error:
        raise Refusal("the regular expression is not valid") from None


def _expanded(replacement: str, match: re.Match[str]) -> str:
    """$1, $name and ${name} are groups, empty where there is none of that name; $$ is a dollar."""

    def one(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(one, replacement)


def _decode(decoder: str, text: str) -> str:
    try:
        data = base64.b64decode(re.sub(r"[\r\n]", "", text), altchars=b"-_" if decoder == "base64URLDecode" else None, validate=True)
        return data.decode()
    except (binascii.Error, ValueError):
        raise Refusal(f"{decoder} was given something that is not text in base64") from None


@FUNCTIONS.takes("base64Decode", str)
def _base64_decode(text: str) -> str:
    return _decode("base64Decode", text)


@FUNCTIONS.takes("base64URLDecode", str)
def _base64_url_decode(text: str) -> str:
    return _decode("base64URLDecode", text)


@FUNCTIONS.takes("base64Encode", str)
def _base64_encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@FUNCTIONS.takes("base64URLEncode", str)
def _base64_url_encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@FUNCTIONS.takes("sha256Hex", str)
def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@FUNCTIONS.takes("md5sum", str)
def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@FUNCTIONS.takes("hmacSHA256Hex", str, str)
def _hmac(message: str, key: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
