# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no linter looks for: things that must not be in the tree, and things that every file must have.

What is forbidden is spelled here so that this file does not hold it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]

HEADER = """\
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""

# Where packages come from is a matter of each machine's own settings; a host in the tree would go around them.
REGISTRIES = {
    "com": ["galaxy.ansible", "npmjs"],
    "io": ["bootstrap.pypa", "crates", "ghcr", "quay", "registry-1.docker"],
    "org": ["deb.debian", "files.pythonhosted", "proxy.golang", "pypi", "security.debian", "snapshot.debian", "sum.golang"],
}
FORBIDDEN = {
    "a package registry's host": re.compile(
        "|".join(rf"\b{re.escape(f'{name}.{tld}')}\b" for tld, names in REGISTRIES.items() for name in names)
    ),
    "a path of one machine": re.compile(rf"{re.escape(str(CHECKOUT))}\b|/(work|home|Users)/[a-z]|/tmp/[b]g/"),
    "a linter's waiver": re.compile(r"#\s*no[q]a|type:\s*ignor[e]|pylint:\s*disabl[e]|(yamllint|shellcheck) disabl[e]|#\s*nose[c]\b"),
    "an ignored error": re.compile(r"ignore_error[s]:|ignore_unreachabl[e]:"),
    "a test that does not run": re.compile(r"pytest\.(mark\.)?(ski[p]|xfai[l])|importorski[p]|unittest\.ski[p]|SkipTes[t]"),
}
LICENCES = ("COPYING", "LICENSES/")
LONGEST = 500


def tree() -> list[str]:
    """Every file that is in the tree or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, check=True, text=True
    )
    return sorted(name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file() and not name.startswith(LICENCES))


def text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


PYTHON = {name: text(name) for name in tree() if name.endswith(".py") and text(name)}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_forbidden(what):
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in tree()
        for number, line in enumerate(text(name).splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert not found, what


def test_what_runs_on_robots_has_no_method_that_came_after_python_3_8():
    """Ruff looks at the grammar alone, and mypy knows no version that is so old."""
    newer = re.compile(r"\.remove(prefix|suffix)\(|\b(functools\.cache|math\.lcm|itertools\.pairwise|int\.bit_count)\b|strict=")
    robots = ("plugins/module_utils/", "plugins/modules/", "plugins/plugin_utils/compile/helpers/", "plugins/plugin_utils/compile/lines.py")
    found = [f"{name}: {match[0]}" for name in PYTHON if name.startswith(robots) for match in newer.finditer(PYTHON[name])]
    assert not found


def test_no_list_of_ignored_findings():
    assert not [name for name in tree() if re.search(r"(^|/)(\.ansible-lint-ignore|ignore-[0-9.]+\.txt)$", name)]


def test_files_are_short():
    """Data that programs write or read, the schema and expected bytes, is as long as it is."""
    long = {name: len(text(name).splitlines()) for name in tree() if not name.endswith((".json", ".txt"))}
    assert not {name: lines for name, lines in long.items() if lines > LONGEST}


def test_python_begins_with_licence_and_purpose():
    def purpose(source: str) -> bool:
        return bool(ast.get_docstring(ast.parse(source)))

    assert not [name for name, source in PYTHON.items() if not re.sub(r"\A#!.*\n", "", source).startswith(HEADER) or not purpose(source)]


def test_other_sources_name_their_licence():
    """Examples are the users' to copy, and cases are data."""
    sources = [
        name
        for name in tree()
        if re.search(r"(\.(ya?ml|toml|sh|j2)|(^|/)(Makefile|\.yamllint|\.ansible-lint))$|^\.ci/", name)
        and not re.match(r"examples/|tests/golden/cases/", name)
    ]
    assert not [name for name in sources if "SPDX-License-Identifier: GPL-3.0-or-later" not in text(name)[:500]]


def test_names_that_ansible_refuses():
    """Sanity's pylint says so too, minutes later: a value that is not wanted is called _rest or _separator, never _ alone."""
    found = [
        f"{name}:{node.lineno}"
        for name, source in PYTHON.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "_"
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements", "requirements-bench", "requirements-dds"])
def test_what_is_installed_is_locked(name):
    """Each package that the project asks for, at one version, with hashes, from whatever index a machine uses."""
    wanted = {line.split(">")[0].lower() for line in text(f"tests/{name}.in").splitlines() if not line.startswith("#")}
    locked = re.findall(r"^(\S+)==(\S+)(?: ; [^\\\n]*[^\\\s])?((?: \\\n    --hash=sha256:[0-9a-f]{64})*)", text(f"tests/{name}.txt"), re.M)
    assert wanted <= {package for package, _version, _hashes in locked}
    assert not [package for package, _version, hashes in locked if not hashes]
    assert not re.search(r"://|^--", text(f"tests/{name}.txt"), re.M), "make lock"


def anchors(page: str) -> set[str]:
    """What a link may name after `#` in a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [name for name in tree() if name.endswith(".md")])
def test_links_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        path, _hash, anchor = target.partition("#")
        if "://" in path:
            continue
        found = (CHECKOUT / page).parent / path if path else CHECKOUT / page
        if not found.exists() or (anchor and anchor not in anchors(str(found.resolve().relative_to(CHECKOUT)))):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("name", ["spire-server", "api.sock"])
def test_a_path_of_the_server_is_the_same_everywhere(name):
    """Roles, modules and actions cannot share a variable: each names it, and none may name another one."""
    paths = {
        found
        for file in tree()
        if file.startswith(("plugins/", "roles/", "docs/"))
        for found in re.findall(rf"(?<![\w/])/(?:opt|run)/[\w/.-]+/{re.escape(name)}(?![\w.-])", text(file))
    }
    assert len(paths) == 1


@pytest.mark.parametrize("playbook", [name for name in tree() if re.fullmatch(r"playbooks/[a-z_]+\.yml", name)])
def test_no_tag_of_a_run_leaves_a_play_out(playbook):
    """With `--tags`, a play without `always` ends well and has done nothing."""
    plays = yaml.safe_load(text(playbook))
    assert all("always" in play.get("tags", ()) for play in plays if "hosts" in play)
