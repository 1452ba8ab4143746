/** A set with scripted SQL servers behind it and stock drivers before it: what most tests of the gateway begin with. */
import { afterEach } from 'node:test';
import type { ConmgrOptions, ConmgrSettings } from './conmgr-process.js';
import { RawDriver } from './raw-driver.js';
import { ScriptedSet } from './scripted-set.js';
import { ScriptedSqlServer, type ServerBehaviour } from './scripted-sql-server.js';
import { PRIMARY, STANDBY } from './scripted-watchdog.js';

export interface GatewayScene {
  readonly set: ScriptedSet;
  /** undefined where nothing listens. */
  readonly servers: readonly (ScriptedSqlServer | undefined)[];
  /** Connects and sends these packets. */
  drive(...packets: readonly Buffer[]): RawDriver;
  end(): Promise<void>;
}

/** A primary, and a standby if there are two; `behaviours` of undefined: nothing listens on the server's port. */
export async function gatewayScene(
  behaviours: readonly (ServerBehaviour | undefined)[],
  settings: ConmgrSettings = {},
  { openFiles, program }: Pick<ConmgrOptions, 'openFiles' | 'program'> = {},
): Promise<GatewayScene> {
  const attributes = [PRIMARY, STANDBY].slice(0, behaviours.length);
  const set = await ScriptedSet.start(attributes, {
    settings,
    ...(openFiles === undefined ? {} : { openFiles }),
    ...(program === undefined ? {} : { program }),
  });
  const servers = await Promise.all(
    behaviours.map((behaviour, at) =>
      behaviour === undefined ? undefined : ScriptedSqlServer.start(set.lines[at]!.backendPort, behaviour),
    ),
  );
  const drivers: RawDriver[] = [];
  return {
    set,
    servers,
    drive: (...packets) => {
      const driver = new RawDriver(set.conmgr.port, ...packets);
      drivers.push(driver);
      return driver;
    },
    end: async () => {
      for (const { socket } of drivers) socket.destroy();
      for (const server of servers) server?.stop();
      await set.end();
    },
  };
}

/** What starts scenes for the tests of the file that calls it; each ends with its test. */
export function gatewayScenes(): typeof gatewayScene {
  const scenes: GatewayScene[] = [];
  afterEach(async () => {
    await Promise.all(scenes.splice(0).map((scene) => scene.end()));
  });
  return async (...args) => {
    const scene = await gatewayScene(...args);
    scenes.push(scene);
    return scene;
  };
}
