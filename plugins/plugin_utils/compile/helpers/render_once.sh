#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# render-once CONFIGURATION STAMP SECONDS FILE...
#
# Has consul-template render everything once, so that whoever needs it can start, and notes in STAMP that it was done with the FILEs as
# they are. A boot finds that note, and does not wait for Consul.
configuration=$1 stamp=$2 seconds=$3
shift 3
now=$(sha256sum "$configuration" "$@") || exit 1
[ "$now" != "$(cat "$stamp" 2>/dev/null)" ] || exit 0
timeout --signal=INT --kill-after=5 "$seconds" consul-template -once -config "$configuration"
ended=$?
if [ "$ended" -eq 124 ]; then
    echo "within $seconds s, Consul has not answered all that is asked: has it a server, and is every key there? keyOrDefault waits for none" >&2
fi
[ "$ended" -eq 0 ] || exit "$ended"
# What has been rendered is on the disk before the note is.
sync -f "${stamp%/*}" && printf '%s\n' "$now" >"$stamp"
