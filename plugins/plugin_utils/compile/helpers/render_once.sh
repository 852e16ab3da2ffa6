#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# render-once CONFIGURATION STAMP SECONDS FILE...
#
# Has consul-template render everything once, so that whoever needs it can start, and notes in STAMP that it was done with the FILEs as
# they are. A boot finds that note, and does not wait for Consul. The CONFIGURATION has the results in a directory `once` beside STAMP:
# where not everything could be rendered, all that was there before stays.
configuration=$1 stamp=$2 seconds=$3
results=${stamp%/*}
shift 3
now=$(sha256sum "$configuration" "$@") || exit 1
[ "$now" != "$(cat "$stamp" 2>/dev/null)" ] || exit 0
rm -rf "$results/once"
mkdir -m 0700 "$results/once" || exit 1
timeout --signal=INT --kill-after=5 "$seconds" consul-template -once -config "$configuration"
ended=$?
if [ "$ended" -eq 124 ] || [ "$ended" -eq 137 ]; then
    echo "Consul did not answer everything within $seconds s: does it have a server, and does every key exist? keyOrDefault does not wait" >&2
fi
[ "$ended" -eq 0 ] || exit "$ended"
# The note is gone before the first of them changes, and comes when all are on the disk.
sync "$results/once"/* && rm -f "$stamp" && mv -f "$results/once"/* "$results" && sync "$results" && printf '%s\n' "$now" >"$stamp"
