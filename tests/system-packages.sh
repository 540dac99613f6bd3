#!/usr/bin/env bash
# Installs from Debian the programs named as arguments, where absent. `venv` stands for Python's venv module.
set -euo pipefail
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # servers are there, which not everybody's PATH names
package() {
  case "$1" in
    kubectl) echo kubernetes-client ;;
    ssh) echo openssh-client ;;
    sshd) echo openssh-server ;;
    venv) echo python3-venv ;;
    *) echo "$1" ;;
  esac
}
missing=()
for program in "$@"; do
  if [ "$program" = venv ] || ! command -v "$program" >/dev/null; then missing+=("$(package "$program")"); fi
done
[ ${#missing[@]} -eq 0 ] && exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
if ! command -v apt-get >/dev/null; then
  echo "please install: ${missing[*]} (tests that need them are skipped)" >&2
  exit 0
fi
echo "installing from Debian: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
if [[ " ${missing[*]} " = *" openssh-server "* ]] && [ -d /etc/systemd/system ]; then
  # the tests start a server of their own on loopback: the package must not open this machine's door, now or at the next boot
  for unit in ssh.service ssh.socket; do $sudo ln -sn /dev/null "/etc/systemd/system/$unit" 2>/dev/null || true; done
  echo "its service stays off: \`systemctl unmask ssh.service ssh.socket\` lets it run" >&2
fi
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
