#!/bin/sh
# Build both pages into the rooms that serve them; does nothing when their sources have not changed.
set -eu
cd "$(dirname "$0")"
command -v node >/dev/null 2>&1 || PATH="$PWD/../.venv/bin:$PATH"
sources=$(find console portal shared package-lock.json vite.config.ts tsconfig.json -type f | LC_ALL=C sort | xargs cksum | cksum)
stamp=node_modules/.built
built=$(cat "$stamp" 2>/dev/null || true)
[ "$built" = "$sources" ] && [ -f ../hub/console/dist/index.html ] && [ -f ../rewards/portal/dist/index.html ] && exit 0
echo "Building the console and the portal" >&2
npm run --silent build >&2
printf '%s' "$sources" >"$stamp"
