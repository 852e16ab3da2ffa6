#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Restarts each proxy whose program was replaced since it started, and prints a line for each. None if the new one does not run at all.
# One that cannot be restarted does not keep the others from it. If any did not start again, the status is 3.

set -eu
envoy=/opt/k8s4r/bin/envoy
"$envoy" --version >/dev/null
status=0
for unit in $(systemctl show --property=Id --value 'k8s4r-proxy-*.service'); do
  pid=$(systemctl show --property=MainPID --value "$unit")
  # One that is down, or has just ended, takes the new program when it starts.
  [ -e "/proc/$pid/exe" ] || continue
  # The same bytes under another name are no other program.
  if [ "/proc/$pid/exe" -ef "$envoy" ] || cmp -s "/proc/$pid/exe" "$envoy"; then
    continue
  fi
  case $(readlink "/proc/$pid/exe") in
    *' (deleted)') ;;
    # envoy_program may be a script. What that would run, it does not say.
    *) [ "$(head -c 2 "$envoy")" != '#!' ] || continue ;;
  esac
  if [ "$(systemctl show --property=LoadState --value "$unit")" = not-found ]; then
    # It runs on, and nothing could start it again.
    echo "$unit: still runs the replaced program, because its unit file is missing; deploy its job, then provision again"
  elif error=$(systemctl restart "$unit" 2>&1 </dev/null); then
    echo "$unit: restarted, because its program was replaced"
  else
    echo "$unit: its program was replaced, and it does not start again: $(echo "$error" | tr '\n' ' ')"
    status=3
  fi
done
exit $status
