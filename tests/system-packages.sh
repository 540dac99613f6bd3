#!/usr/bin/env bash
# Installs from Debian the programs named as arguments, where absent. `venv` stands for Python's venv module.
set -euo pipefail
package() {
  case "$1" in
    kubectl) echo kubernetes-client ;;
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
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
