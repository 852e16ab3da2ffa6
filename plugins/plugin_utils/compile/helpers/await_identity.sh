#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-identity SOCKET SECONDS
#
# Waits until the SPIRE agent at SOCKET gives this unit an identity. Exits with 1 and the reason when the time is up.
# Envoy pauses longer and longer between its own tries for a certificate: started after this, it has one at once.
socket=$1 seconds=$2

# The wall clock of a robot may jump while it waits.
uptime() {
    read -r now _ </proc/uptime
    echo "${now%%.*}"
}

end=$(($(uptime) + seconds))
until said=$(@PROGRAMS@/spire-agent api fetch x509 -silent -socketPath "$socket" 2>&1); do
    if [ "$(uptime)" -ge "$end" ]; then
        echo "<4>no identity after $seconds s, the proxy starts without one: $said" >&2
        exit 1
    fi
    sleep 0.1
done
