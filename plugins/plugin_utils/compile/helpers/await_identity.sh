#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-identity SOCKET
#
# Waits until the SPIRE agent at SOCKET gives this unit an identity; the caller bounds the time. Envoy pauses longer and
# longer between its own tries for a certificate: started after this, it has one within 0.2 s, and not after 9 to 27 s.
until @PROGRAMS@/spire-agent api fetch x509 -silent -socketPath "$1" >/dev/null 2>&1; do
    sleep 0.2
done
