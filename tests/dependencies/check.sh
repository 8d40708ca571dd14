#!/usr/bin/env bash
# check.sh core=PROGRAM cli=PROGRAM: each needs only the libraries allowed for its kind, and is
# smaller than 10 MB without symbols.
set -euo pipefail
standard="libstdc++.so.6 libm.so.6 libgcc_s.so.1 libc.so.6 libpthread.so.0 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1"
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
failed=0
for argument in "$@"; do
  kind=${argument%%=*} program=${argument#*=}
  allowed=$standard
  [[ $kind == cli ]] && allowed+=" libz.so.1 libpng16.so.16 libjpeg.so.62"
  for library in $(readelf --dynamic "$program" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'); do
    if [[ " $allowed " != *" $library "* ]]; then
      echo "$program needs $library, which is not among: $allowed"
      failed=1
    fi
  done
  strip -o "$stripped" "$program"
  size=$(stat --format=%s "$stripped")
  echo "$kind: $size bytes stripped"
  if ((size >= 10000000)); then
    echo "$program has $size bytes without symbols; it must stay under 10,000,000"
    failed=1
  fi
done
exit $failed
