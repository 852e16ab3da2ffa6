# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities and durations are exact."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare import quantities

FACTORS = {"": 1, "m": Fraction(1, 1000), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
FACTORS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "e3": 1000, "E-2": Fraction(1, 100)}


CPU = {"500m": 500, "0.5": 500, "2": 2000, ".25": 250, "1.": 1000, "0.0001": 1, "1e1": 10_000}
MEMORY = {"128Mi": 2**27, "1.5Gi": 3 * 2**29, "1k": 1000, "0": 0, "100m": 1, "1e9": 10**9}
DURATIONS = {"300ms": 0.3, "5s": 5, "1m30s": 90, "1h0.5m": 3630, "0": 0, "1us": 1e-6, "1µs": 1e-6, "1ns": 1e-9, ".5s": 0.5}


@pytest.mark.parametrize("text", CPU)
def test_cpu(text):
    assert quantities.millicores(text) == CPU[text]


@pytest.mark.parametrize("text", MEMORY)
def test_memory(text):
    assert quantities.size(text) == MEMORY[text]


@pytest.mark.parametrize("text", DURATIONS)
def test_duration(text):
    assert quantities.seconds(text) == pytest.approx(DURATIONS[text], rel=1e-12)


@given(st.from_regex(r"[0-9]{1,12}(\.[0-9]{0,6})?", fullmatch=True), st.sampled_from(sorted(FACTORS)))
def test_amounts_are_rounded_up_exactly(number, suffix):
    exact = Fraction(number.rstrip(".")) * FACTORS[suffix]
    assert quantities.size(number + suffix) == -(-exact.numerator // exact.denominator)
    assert quantities.millicores(number + suffix) == -(-(exact * 1000).numerator // (exact * 1000).denominator)


@pytest.mark.parametrize("text", ["0", "1500", "1k", "12M", "1024M", "4Mi", "16Mi", "3T", "2Ti"])
def test_an_amount_of_memory_is_spelled_as_a_person_would(text):
    assert quantities.spelled(quantities.size(text)) == text


@given(st.integers(0, 2**60))
def test_what_is_spelled_is_the_same_amount(number):
    assert quantities.size(quantities.spelled(number)) == number


@pytest.mark.parametrize("text", ["", "m", "-1", "+1", "1 Mi", "1MB", "1KiB", "0x10", "1_000", "1,5", "NaN", "inf", "1e999", "٣", "1Mi\n"])
def test_no_amounts(text):
    for parse in (quantities.millicores, quantities.size):
        with pytest.raises(ValueError, match=rf"^{re.escape(text)}\Z"):
            parse(text)


@pytest.mark.parametrize("text", ["", "5", "-5s", "5 s", "5d", "1m 30s", "s", ".s", "1:30", "٣s", "5s\n"])
def test_no_durations(text):
    with pytest.raises(ValueError, match=rf"^{re.escape(text)}\Z"):
        quantities.seconds(text)


@given(st.from_regex(quantities.DURATION, fullmatch=True))
def test_every_text_of_the_pattern_is_a_duration(text):
    assert quantities.seconds(text) >= 0
