# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What templates do with services that they look up, and what they cannot do."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.consul_template import evaluator, parser
from ansible_collections.k8s4r.robot.plugins.plugin_utils.consul_template.faults import Fault, Refusal

API = [{"Address": f"192.0.2.{n}", "Port": 7000 + n, "Name": "api", "Tags": ["a", "b"]} for n in (1, 2)]


def offered(name: str) -> list[dict[str, object]]:
    if name == "canary":
        raise Refusal("no task has canary", "did you mean canary?")
    if name not in ("api", "none"):
        raise Refusal(f"no task has {name}", "there is api")
    return API if name == "api" else []


def rendered(text: str) -> str:
    return evaluator.render(parser.parse(text), {"NAME": "api", "SECRET": "canary"}, offered)


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ('{{ range nomadService "api" }}{{ .Address }}:{{ .Port }};{{ end }}', "192.0.2.1:7001;192.0.2.2:7002;"),
        ('{{ range $i, $s := service "api" }}{{ if $i }},{{ end }}{{ $s.Address }}{{ end }}', "192.0.2.1,192.0.2.2"),
        ('{{ range nomadService "none" }}x{{ else }}nobody{{ end }}', "nobody"),
        ('{{ with service "api" }}{{ with index . 0 }}{{ .Port }}{{ end }}{{ end }}', "7001"),
        ('{{ env "NAME" | service | len }}', "2"),
        ('{{ (index (service "api") 1).Tags | join "-" }}', "a-b"),
        ('{{ range service "api" }}{{ if .Tags | contains "b" }}{{ .Port | add 1 }} {{ end }}{{ end }}', "7002 7003 "),
        ('{{ if service "none" }}x{{ end }}{{ if not (service "api") }}x{{ end }}', ""),
        ('{{ $s := service "api" }}{{ range slice $s 1 2 }}{{ .Name }}{{ end }}', "api"),
    ],
)
def test_what_a_template_makes_of_a_service(text, gives):
    assert rendered(text) == gives


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ('\n{{ service "apy" }}', 2, "no task has apy", "there is api"),
        ("{{ service }}", 1, "service takes the name of a service, and nothing else", ""),
        ('{{ nomadService 1 "key" "api" }}', 1, "nomadService takes the name of a service, and nothing else", ""),
        ('{{ range service "api" }}{{ .Weights }}{{ end }}', 1, "no .Weights here", "it has .Address, .Name, .Port and .Tags"),
        ('{{ service "api" }}', 1, "prints an instance of a service, or a list of them, as a whole", "such as .Address"),
        ('{{ range service "api" }}{{ . }}{{ end }}', 1, "prints an instance of a service", "such as .Address"),
        ('{{ service "api" | toJSON }}', 1, "toJSON cannot take an instance of a service", "such as .Address"),
        ('{{ printf "%v" (index (service "api") 0) }}', 1, "printf cannot take an instance of a service", "such as .Address"),
    ],
)
def test_what_is_refused(text, line, message, remedy):
    with pytest.raises(Fault) as raised:
        rendered(text)
    assert raised.value.line == line
    assert message in str(raised.value)
    assert remedy in raised.value.remedy


def test_all_services_that_there_are_not_are_said_at_once_and_no_name_that_may_be_a_secret():
    with pytest.raises(Fault) as raised:
        rendered('{{ service "a" }}\n{{ mustEnv "X" }}{{ service (env "SECRET") }}')
    said = [f"{each.line}: {each} {each.remedy}" for each in (raised.value, *raised.value.also)]
    assert said == [
        "1: no task has a there is api",
        "2: the variable X is empty, or not in the environment of the task give it in env of the task",
        "2: service is given a name that no task of this run offers ",
    ]
