# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small shell programs that a group's units call; each group has its own copy, so that a group stands alone.

They are POSIX sh but for the readiness of a proxy, which has to speak HTTP over a Unix socket.
"""

from __future__ import annotations

# Counts restarts as Nomad does: `attempts` within a window that is fixed from its first restart. systemd's own start
# limit loses its count at a daemon-reload (seen on 252). A stop or restart that somebody asked for does not count.
RESTART_POLICY = """\
#!/bin/sh
# Called by ExecStopPost: UNIT ATTEMPTS INTERVAL MODE TYPE (seconds; fail or delay; service or batch).
unit=$1 attempts=$2 interval=$3 mode=$4 type=$5
count_file=/run/k8s4r/restarts/$unit
[ -n "$(systemctl show --property=Job --value "$unit")" ] && exit 0
[ "$type" = batch ] && [ "$SERVICE_RESULT" = success ] && exit 0
mkdir -p /run/k8s4r/restarts
now=$(date +%s) first=$now count=0
[ -r "$count_file" ] && read -r first count <"$count_file"
[ $((now - first)) -ge "$interval" ] && first=$now count=0
count=$((count + 1))
echo "$first $count" >"$count_file"
[ "$count" -le "$attempts" ] && exit 0
if [ "$mode" = delay ]; then
    rest=$((first + interval - now))
    echo "restart policy: $attempts attempts used up, next start in $rest s"
    systemd-run --quiet --collect --on-active="$rest" --timer-property=AccuracySec=1s systemctl start "$unit"
else
    echo "restart policy: $attempts attempts within $interval s used up, giving up"
fi
exec systemctl --no-block stop "$unit"
"""

# An init task that ends badly is tried again within its own start, because systemd would by then have failed
# everything that requires it.
RETRY = """\
#!/bin/sh
# ATTEMPTS DELAY COMMAND...: run it until it succeeds, at most ATTEMPTS times more.
attempts=$1 delay=$2
shift 2
until "$@"; do
    status=$?
    [ "$attempts" -gt 0 ] || exit "$status"
    attempts=$((attempts - 1))
    sleep "$delay"
done
"""

# Envoy pauses longer and longer between its tries for a certificate, so it starts when there is one: 0.2 s after the
# agent has it, in place of 9 to 27. No certificate: it starts all the same, and gets it later.
AWAIT_IDENTITY = """\
#!/bin/sh
# SOCKET: wait until the SPIRE agent gives this unit an identity; the caller bounds the time.
until /opt/k8s4r/bin/spire-agent api fetch x509 -silent -socketPath "$1" >/dev/null 2>&1; do
    sleep 0.2
done
"""

AWAIT_PROXY = """\
import socket, sys, time

# ADMIN_PIPE SECONDS: wait until Envoy says that it is ready.
deadline = time.monotonic() + float(sys.argv[2])
while time.monotonic() < deadline:
    try:
        with socket.socket(socket.AF_UNIX) as pipe:
            pipe.settimeout(1)
            pipe.connect(sys.argv[1])
            pipe.sendall(b"GET /ready HTTP/1.0\\r\\nHost: admin\\r\\n\\r\\n")
            if b" 200 " in pipe.recv(64):
                sys.exit(0)
    except OSError:
        pass
    time.sleep(0.05)
sys.exit("the proxy is not ready yet; tasks start all the same")
"""

AWAIT_PORT = """\
import socket, sys, time

# PORT: wait until it accepts a connection; the unit's start timeout bounds the time.
while True:
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        break
    except OSError:
        time.sleep(0.1)
"""
