/** What goes wrong in the soak. Each fault mends what it broke; a table says whom it may cost anything. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { signalIfAny } from '../support/processes.js';
import type { Patience, Reason } from './patience.js';
import { type ApplicationHost, HOSTS, other, type Scene, TIMEOUT_MS } from './scene.js';

export interface Surroundings {
  readonly scene: Scene;
  /** In [0, 1). */
  readonly random: () => number;
  /** The patience of the applications of one host, or of all. */
  readonly withheld: (
    host: ApplicationHost | 'all',
    reason: Reason,
    while_: () => Promise<void>,
  ) => Promise<void>;
}

/** Whose sessions and statements it may end; everybody else's go on as if nothing had happened. */
export type Victims = 'nobody' | 'app2' | 'readers' | 'all';

export interface Fault {
  readonly victims: Victims;
  readonly strike: (surroundings: Surroundings) => Promise<void>;
}

const between = (random: () => number, least: number, most: number): number =>
  Math.round(least + random() * (most - least));

const pick = <T>(random: () => number, all: readonly T[]): T => all[Math.floor(random() * all.length)]!;

/** Octets that are none of the protocols', to a port. Resolves when they were taken or refused. */
function shout(port: number, random: () => number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const octets = Buffer.from(Array.from({ length: 400 }, () => Math.floor(random() * 256)));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', () => {});
    socket.on('connect', () => socket.end(octets));
    socket.setTimeout(5000, () => socket.destroy());
  });
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  'conmgr kill -9, back within restart_grace': {
    victims: 'app2',
    strike: async ({ scene, random }) => {
      await scene.shaken.conmgr.stop('SIGKILL');
      await delay(between(random, 50, 1500));
      await scene.shaken.again();
    },
  },
  'conmgr kill -9, away for longer than restart_grace': {
    victims: 'app2',
    strike: async ({ scene, random }) => {
      await scene.shaken.conmgr.stop('SIGKILL');
      await delay(between(random, 4000, 7000));
      await scene.shaken.again();
    },
  },
  'conmgr stopped and started': {
    victims: 'app2',
    strike: async ({ scene, random }) => {
      await scene.shaken.conmgr.stop('SIGTERM');
      await delay(between(random, 50, 1500));
      await scene.shaken.again();
    },
  },
  'conmgr frozen beyond heartbeat_timeout': {
    victims: 'app2',
    strike: ({ scene, random, withheld }) =>
      withheld(scene.shaken, 'conmgr frozen', async () => {
        const { pid } = scene.shaken.conmgr;
        signalIfAny(pid, 'SIGSTOP');
        await delay(TIMEOUT_MS + between(random, 500, 3000));
        signalIfAny(pid, 'SIGCONT');
      }),
  },
  'conmgr frozen for a moment': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      const { pid } = scene.shaken.conmgr;
      signalIfAny(pid, 'SIGSTOP');
      await delay(between(random, 100, 1500));
      signalIfAny(pid, 'SIGCONT');
    },
  },
  'conmgr reloads': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      for (const host of scene.applicationHosts)
        await host.reload({ load_balance: pick(random, ['round-robin', 'least-connections']) });
    },
  },
  'watchdog kill -9, back at once': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      await scene.watchdogs[1].stop('SIGKILL');
      await delay(between(random, 50, 1500));
      scene.watchdogs[1] = await scene.watchdogs[1].again();
    },
  },
  'watchdog stopped and started': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      await scene.watchdogs[1].stop('SIGTERM');
      await delay(between(random, 50, 5000));
      scene.watchdogs[1] = await scene.watchdogs[1].again();
    },
  },
  'watchdog frozen beyond heartbeat_timeout': {
    victims: 'all',
    strike: async ({ scene, random }) => {
      const { pid } = pick(random, scene.watchdogs).running;
      signalIfAny(pid, 'SIGSTOP');
      await delay(TIMEOUT_MS + between(random, 500, 3000));
      signalIfAny(pid, 'SIGCONT');
    },
  },
  'host cut off for a moment': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      const [host, server] = [pick(random, scene.applicationHosts), pick(random, HOSTS)];
      host.cut(server);
      // Less than heartbeat_timeout - heartbeat_interval, and than a busy machine takes to notice the end of it.
      await delay(between(random, 100, 1500));
      host.heal(server);
    },
  },
  'host cut off beyond heartbeat_timeout': {
    victims: 'app2',
    strike: async ({ scene, random }) => {
      const server = pick(random, HOSTS);
      scene.shaken.cut(server);
      await delay(TIMEOUT_MS + between(random, 500, 3000));
      scene.shaken.heal(server);
    },
  },
  'heartbeats alone cut off beyond heartbeat_timeout': {
    victims: 'app2',
    strike: async ({ scene, random }) => {
      const server = pick(random, HOSTS);
      scene.shaken.cut(server, true);
      await delay(TIMEOUT_MS + between(random, 500, 3000));
      scene.shaken.heal(server);
    },
  },
  'garbage on every port': {
    victims: 'nobody',
    strike: async ({ scene, random }) => {
      const ports = [
        ...scene.applicationHosts.map(({ conmgr }) => conmgr.port),
        ...scene.watchdogs.map(({ port }) => port),
      ];
      for (let round = 0; round < 10; round += 1) await Promise.all(ports.map((port) => shout(port, random)));
    },
  },
  'backend kill -9, crash recovery': {
    victims: 'all',
    strike: async ({ scene }) => {
      const primary = scene.server(scene.primary);
      const [row] = await primary.sql<{ pid: number }>(
        "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1",
      );
      if (row !== undefined) signalIfAny(row.pid, 'SIGKILL');
    },
  },
  'standby restarted': {
    victims: 'readers',
    strike: ({ scene, withheld }) =>
      withheld('all', 'standby away', async () => {
        const standby = scene.server(other(scene.primary));
        await standby.stop('fast');
        await standby.start();
        await scene.synchronous();
      }),
  },
  'primary kill -9, standby promoted': {
    victims: 'all',
    strike: async ({ scene, withheld }) => {
      const lost = scene.primary;
      await scene.server(lost).kill9();
      await scene.powerOff(lost);
      await scene.promote(other(lost));
      await withheld('all', 'standby away', () => scene.rejoin(lost, true));
    },
  },
  'primary frozen with its host, standby promoted': {
    victims: 'all',
    strike: async ({ scene, random, withheld }) => {
      const lost = scene.primary;
      const { pid } = scene.watchdogs[lost].running;
      signalIfAny(pid, 'SIGSTOP');
      scene.server(lost).freeze();
      await delay(TIMEOUT_MS + between(random, 500, 3000));
      await scene.powerOff(lost);
      signalIfAny(pid, 'SIGCONT');
      await scene.promote(other(lost));
      await withheld('all', 'standby away', () => scene.rejoin(lost, true));
    },
  },
  'switchover by hand': {
    victims: 'all',
    strike: async ({ scene, withheld }) => {
      const old = scene.primary;
      await scene.server(old).stop('fast');
      await scene.promote(other(old));
      await withheld('all', 'standby away', () => scene.rejoin(old, false));
    },
  },
};

/** Patience that is suspended while something is done, and what is done. */
export async function withholding(
  patiences: readonly Patience[],
  reason: Reason,
  while_: () => Promise<void>,
): Promise<void> {
  const holds = patiences.map((patience) => [patience, patience.hold(reason, performance.now())] as const);
  try {
    await while_();
  } finally {
    for (const [patience, hold] of holds) patience.release(hold, performance.now());
  }
}
