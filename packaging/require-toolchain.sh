# Fails with one line unless Node.js 18 or later and npm are there to build with.
if ! command -v node >/dev/null; then
  echo 'conmgr is built with Node.js 18 or later; there is no node in PATH' >&2
  exit 1
fi
major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$major" -lt 18 ]; then
  echo "conmgr is built with Node.js 18 or later; the node in PATH is $(node --version)" >&2
  exit 1
fi
if ! command -v npm >/dev/null; then
  echo 'conmgr is built with npm; there is no npm in PATH (Debian: apt install npm)' >&2
  exit 1
fi
