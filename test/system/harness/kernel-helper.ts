/** conmgr-helper and the redirect programs on a booted host. */
import type { Host } from './host.js';

export const HELPER_UNIT = 'conmgr-helper.service';
export const REDIRECT_UNIT = 'conmgr-redirect.service';

/** Is there while the redirect programs are loaded. */
const LOADED = '/run/redirect-programs';

/** A host of the harness may put no program into the kernel, so a file stands for them; test/kernel loads them for real. */
const STAND_IN = `
[Service]
ReadWritePaths=/run
ExecStart=
ExecStart=/usr/bin/touch ${LOADED}
ExecStop=
ExecStop=/usr/bin/rm ${LOADED}
`;

/** What `switchOnHelper` writes that belongs to the administrator, as lines of `difference`. */
export const OWN_DROP_IN = ['', '/own.conf'].map((end) => `+ /etc/systemd/system/${REDIRECT_UNIT}.d${end}`);

/** Asks over the socket what is possible, as conmgr does. */
const PROBE = `
const socket = require('node:net').connect('/run/conmgr-helper/socket');
socket.end(JSON.stringify({ id: 1, do: 'probe', targets: [['127.0.0.1', 5432]], listeners: [] }) + '\\n');
socket.pipe(process.stdout);
`;

/** As an administrator does: a list for the user conmgr, and both units on, now and at boot. */
export async function switchOnHelper(host: Host): Promise<void> {
  await host.write('/etc/conmgr/targets.d/test.conf', 'user conmgr\ntarget 127.0.0.1 5432\n');
  await host.write(`/etc/systemd/system/${REDIRECT_UNIT}.d/own.conf`, STAND_IN);
  await host.output(['systemctl', 'daemon-reload']);
  await host.output(['systemctl', 'enable', '--now', HELPER_UNIT]);
}

/** What the helper answers to user conmgr: `guard` is null where it can end sockets. */
export async function probeHelper(host: Host): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(await host.output(['node', '-e', PROBE], { user: 'conmgr' })) as Record<string, unknown>;
}

export async function programsAreLoaded(host: Host): Promise<boolean> {
  return (await host.run(['test', '-e', LOADED])).status === 0;
}
