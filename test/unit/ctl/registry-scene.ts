/** A host with a scripted systemctl: it loads drop-ins when it is told to, and notes what it is asked. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { parseArguments } from '../../../src/core/ctl/arguments.js';
import { MessageError } from '../../../src/core/messages/message-error.js';
import type { Call, Mode, World } from '../../../src/ctl/call.js';
import { MODES } from '../../../src/ctl/modes.js';
import { Output } from '../../../src/ctl/output.js';
import type { RegistryPlaces } from '../../../src/ctl/registry.js';
import { FakeManager, type FakeResult } from './fake-world.js';

// A service does not see what lies below /tmp, so nothing there can be registered.
const root = mkdtempSync('/dev/shm/ctl-');
after(() => rmSync(root, { recursive: true }));

const SYSTEMCTL = `#!/bin/sh
verb= units= behind=
for word; do
  if [ "$behind" ]; then units="$units $word"
  elif [ "$word" = -- ]; then behind=1
  else case $word in -*) ;; *) verb=$word ;; esac
  fi
  last=$word
done
case $verb in
  show)
    case $* in *=Version) echo Version=252; exit ;; esac
    if [ -e "$STATE/masked-$last" ]; then echo LoadState=masked; echo "FragmentPath=$UNITS/$last"
    elif [ -e "$STATE/no-template" ]; then echo LoadState=not-found
    else echo LoadState=loaded
    fi
    [ -e "$STATE/enabled-$last" ] && echo UnitFileState=enabled || echo UnitFileState=disabled
    [ -e "$STATE/running-$last" ] && echo ActiveState=active || echo ActiveState=inactive
    echo LimitNOFILE=20000
    cat "$STATE/loaded/$last.d"/*.conf 2>/dev/null | grep ^LimitNOFILE= ;;
  daemon-reload) printf '%s\\n' "$verb" >> "$STATE/calls"; rm -rf "$STATE/loaded"; cp -R "$UNITS" "$STATE/loaded" ;;
  enable) printf '%s\\n' "$verb$units" >> "$STATE/calls"; for unit in $units; do : > "$STATE/enabled-$unit"; done ;;
  reload) printf '%s\\n' "$verb$units" >> "$STATE/calls" ;;
  disable) printf '%s\\n' "$verb$units" >> "$STATE/calls"; rm -f "$STATE/enabled-\${units# }" ;;
esac
exit 0
`;

/** An unprivileged user whose directories this process can make. */
export const ACCOUNT = process.geteuid?.() === 0 ? { name: 'nobody', uid: 65534 } : undefined;

export class Host {
  readonly home: string;
  readonly places: RegistryPlaces;
  readonly #state: string;
  readonly #bin: string;

  constructor() {
    this.home = mkdtempSync(join(root, 'host-'));
    this.#state = join(this.home, 'state');
    this.#bin = join(this.home, 'bin');
    const [units, named, linger] = ['units', 'named', 'linger'].map((name) => join(this.home, name));
    if (units === undefined || named === undefined || linger === undefined) throw new Error('no places');
    this.places = { units, named, linger, booted: this.home, lists: join(this.home, 'conmgr/targets.d') };
    for (const folder of [this.#state, this.#bin, units]) mkdirSync(folder);
    this.program('systemctl', SYSTEMCTL);
  }

  program(name: string, text: string): void {
    writeFileSync(join(this.#bin, name), text);
    chmodSync(join(this.#bin, name), 0o755);
  }

  /** A conmgr directory that belongs to the unprivileged user. */
  directory(name: string, configuration = 'backend_host0 = 127.0.0.1\n'): string {
    const path = join(this.home, name);
    mkdirSync(path);
    writeFileSync(join(path, 'conmgr.conf'), configuration);
    this.give(path);
    return path;
  }

  give(path: string): void {
    if (ACCOUNT !== undefined) chownSync(path, ACCOUNT.uid, ACCOUNT.uid);
  }

  /** What an administrator does who has written a drop-in. */
  daemonReload(): void {
    const env = { STATE: this.#state, UNITS: this.places.units };
    execFileSync(join(this.#bin, 'systemctl'), ['daemon-reload'], { env: { ...process.env, ...env } });
  }

  /** `enabled-UNIT`, `running-UNIT`, `masked-UNIT`, `no-template`. */
  set(fact: string): void {
    writeFileSync(join(this.#state, fact), '');
  }

  isEnabled(unit: string): boolean {
    return existsSync(join(this.#state, `enabled-${unit}`));
  }

  /** What was changed since the last time this was asked. */
  calls(): readonly string[] {
    const file = join(this.#state, 'calls');
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    rmSync(file);
    return lines;
  }

  /** Text of a drop-in; undefined for none. */
  dropIn(unit: string, name: string): string | undefined {
    const file = join(this.places.units, `${unit}.d`, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  /** Runs a mode on this host, as root unless something else is said. */
  async run(
    line: readonly string[],
    act: (call: Call, places: RegistryPlaces) => ReturnType<Mode['run']>,
    { uid = 0, places = this.places, ...more }: Partial<World> & { places?: RegistryPlaces } = {},
  ): Promise<FakeResult> {
    const parsed = parseArguments(line, MODES, {});
    let stdout = '';
    let stderr = '';
    const sink = (add: (text: string) => void) => ({ write: add });
    const output = new Output(
      sink((text) => {
        stdout += text;
      }),
      sink((text) => {
        stderr += text;
      }),
      {},
    );
    if (parsed.act !== 'run') throw new Error(`not a command line: ${line.join(' ')}`);
    const world: World = {
      output,
      managers: { choose: async () => new FakeManager(), list: async () => [] },
      environment: {
        PATH: `${this.#bin}:${process.env['PATH']}`,
        STATE: this.#state,
        UNITS: this.places.units,
      },
      version: '1.2.3',
      uid,
      interrupted: new AbortController().signal,
      ...more,
    };
    const { options, operands } = parsed;
    const call: Call = { world, options, operands, directory: options.directory ?? '' };
    try {
      const status = await act(call, places);
      return { status, stdout, stderr };
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      output.report(error.spec, error.params);
      return { status: error.spec.exit ?? 1, stdout, stderr };
    }
  }
}
