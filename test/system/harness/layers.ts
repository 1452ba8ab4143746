/** Puts packages on top of a root file system, once, for all hosts of a run. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { groupOfRun, removeGroup } from './control-groups.js';
import { finished } from './roots.js';

/** As a host, but not booted: one command that sees the packages in /run/packages. */
const INSTALL = `
set -eu
group=$1 root=$2 layer=$3 packages=$4 command=$5
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec unshare --mount --propagation private -- /bin/sh -euc '
  mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
  exec systemd-nspawn --quiet --directory="$2/root" --machine="$4" --register=no --keep-unit --console=pipe \\
    --private-network --resolv-conf=off --timezone=off --link-journal=no --bind-ro="$3:/run/packages" \\
    /bin/sh -euc "$5"
' install "$root" "$layer" "$packages" "\${layer##*/}" "$command"
`;

/**
 * Makes a layer with all packages of a directory.
 * @param layer directory to make
 * @returns the directory that goes on top of the root
 */
export async function installPackages(
  run: string,
  root: string,
  packages: string,
  layer: string,
): Promise<string> {
  const files = readdirSync(packages).filter((name) => name.endsWith('.deb'));
  if (files.length === 0) throw new Error(`there is no package in ${packages}`);
  for (const part of ['upper', 'work', 'root']) mkdirSync(join(layer, part), { recursive: true });
  const group = join(groupOfRun(run), `layer-${layer.slice(layer.lastIndexOf('/') + 1)}`);
  const command = `dpkg --install ${files.map((name) => `/run/packages/${name}`).join(' ')}`;
  await finished(
    '/bin/sh',
    ['-c', INSTALL, 'install', group, root, layer, packages, command],
    `the layer with ${files.join(', ')}`,
  );
  await removeGroup(group);
  return join(layer, 'upper');
}
