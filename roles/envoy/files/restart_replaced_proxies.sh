#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Restarts each proxy whose program was replaced since it started, and prints its unit. None if the new one does not run at all.

set -eu
/opt/k8s4r/bin/envoy --version >/dev/null
for unit in $(systemctl show --property=Id --value 'k8s4r-proxy-*.service'); do
  pid=$(systemctl show --property=MainPID --value "$unit")
  case $(readlink "/proc/$pid/exe") in
    *' (deleted)')
      systemctl restart "$unit" </dev/null
      echo "$unit"
      ;;
  esac
done
