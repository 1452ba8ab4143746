/** Makes everything work again, whatever was broken. */
import type { Stage } from './stage.js';

/** Paths, processes and servers; whoever was stopped while it was frozen ends first, then all are started. */
export function mend({ world, promises }: Stage): void {
  const { network } = world;
  for (const conmgr of world.conmgrs.values()) {
    for (const server of world.servers.keys()) {
      for (const path of [network.path(conmgr.name, server), network.path(server, conmgr.name)])
        Object.assign(path, { state: 'open', delayMs: 1, loss: 0 });
    }
    network.setDark(conmgr.name, false);
    conmgr.process.goOn();
  }
  for (const server of world.servers.values()) {
    network.setDark(server.name, false);
    server.stopped = false;
    if (server.state !== 'up') server.change('at once', (one) => Object.assign(one, { state: 'up' }));
    world.watchdog(server.name).process.goOn();
  }
  if (promises === undefined) world.timeline.advance(2000);
  else promises.advance(2000);
  for (const process of [...world.conmgrs.values(), ...world.watchdogs.values()])
    if (!process.alive) process.start();
}
