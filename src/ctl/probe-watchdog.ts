/**
 * One try of an instance, as `cm_ctl check` makes it: does its watchdog welcome a link, does its postmaster answer.
 *
 * The try says HELLO with an identity of its own and goes before a heartbeat is due. A watchdog ends sessions only for
 * links that have sent several heartbeats, so the end of this one can cost nobody a session.
 */
import type { ConmgrConfig, InstanceConfig } from '../core/config/types.js';
import { hasAttribute, type InstanceState } from '../core/protocol/attributes.js';
import { decodeAttributes } from '../core/protocol/codec.js';
import {
  GOODBYE_REASONS,
  HEARTBEAT_MAGIC,
  HEARTBEAT_VERSION,
  type HeartbeatMessage,
  REJECT_CODES,
} from '../core/protocol/messages.js';
import { newBootId } from '../io/identity.js';
import type { LinkSecurity } from '../io/link-security.js';
import { probePostmaster } from '../io/pg-probe.js';
import { resolveHost } from '../io/resolver.js';
import { connectFramed, type FramedTarget } from '../io/tcp-frames.js';

/** What a watchdog told of itself and of its instance. */
export interface WatchdogWelcome {
  readonly software: string;
  /** Round trip of HELLO and WELCOME. */
  readonly rttMs: number;
  readonly state: InstanceState;
  readonly role: 'primary' | 'standby' | 'unknown';
  /** Decimal, '' = unknown. */
  readonly systemIdentifier: string;
}

/** What became of a try. */
export interface InstanceTrial {
  readonly instance: InstanceConfig;
  /** The address that answered or was tried last, '' when there was none. */
  readonly address: string;
  readonly watchdog: WatchdogWelcome | { readonly failure: string };
  /** '' when the postmaster answered. */
  readonly postmasterFailure: string;
}

const NOT_TRIED = 'not tried: only the systemd unit has the credential that protects the link';

/**
 * Tries one instance within heartbeat_connect_timeout for each address; not its watchdog where the protection of the
 * link is not known. Never rejects.
 */
export async function tryInstance(
  instance: InstanceConfig,
  config: ConmgrConfig,
  security: LinkSecurity | undefined,
): Promise<InstanceTrial> {
  let addresses: readonly string[];
  try {
    addresses = await resolveHost(instance.hostaddr ?? instance.host ?? '');
  } catch (error) {
    const failure = (error as Error).message;
    return { instance, address: '', watchdog: { failure }, postmasterFailure: failure };
  }
  let trial: InstanceTrial | undefined;
  for (const address of addresses) {
    const timeoutMs = config.heartbeatConnectTimeoutMs;
    const [watchdog, postmaster] = await Promise.all([
      security === undefined
        ? { failure: NOT_TRIED }
        : tryWatchdog(
            { address, port: instance.watchdogPort, host: instance.host ?? address, security },
            config,
          ),
      probePostmaster({ host: address, port: instance.backendPort }, timeoutMs),
    ]);
    trial = { instance, address, watchdog, postmasterFailure: postmaster.text };
    if (!('failure' in watchdog)) break;
  }
  const none = { failure: 'its name has no address' };
  return trial ?? { instance, address: '', watchdog: none, postmasterFailure: none.failure };
}

function tryWatchdog(
  target: FramedTarget,
  config: ConmgrConfig,
): Promise<WatchdogWelcome | { readonly failure: string }> {
  return new Promise((resolve) => {
    let helloAt = 0;
    let welcome: { readonly software: string; readonly rttMs: number } | undefined;
    const finish = (result: WatchdogWelcome | { readonly failure: string }): void => {
      clearTimeout(timer);
      resolve(result);
    };
    const take = (message: HeartbeatMessage | undefined): void => {
      if (message?.name === 'welcome') {
        welcome = { software: message.software, rttMs: performance.now() - helloAt };
      } else if (message?.name === 'reject') {
        const reason = message.text === '' ? (REJECT_CODES[message.code] ?? 'no reason given') : message.text;
        socket.end();
        finish({ failure: `refused: ${reason}` });
      } else if (message?.name === 'attr' && welcome !== undefined) {
        const { state, bits, systemIdentifier } = decodeAttributes(message);
        const standby = hasAttribute(bits, 'standby') ? 'standby' : 'unknown';
        const role = hasAttribute(bits, 'primary') ? 'primary' : standby;
        const identifier = systemIdentifier === 0n ? '' : systemIdentifier.toString();
        // No instance is monitored over this link, so none is given up with it.
        const reason = GOODBYE_REASONS.indexOf('released');
        socket.send({ name: 'goodbye', reason, retryAfterMs: 0, text: 'cm_ctl check' });
        socket.end();
        finish({ ...welcome, state, role, systemIdentifier: identifier });
      }
    };
    const socket = connectFramed(target, {
      connected: () => {
        helloAt = performance.now();
        socket.send({
          name: 'hello',
          magic: HEARTBEAT_MAGIC,
          versionMin: HEARTBEAT_VERSION.min,
          versionMax: HEARTBEAT_VERSION.max,
          intervalMs: config.heartbeatIntervalMs,
          timeoutMs: config.heartbeatTimeoutMs,
          conmgrId: newBootId(),
          bootId: newBootId(),
          systemIdentifier: 0n,
          software: 'cm_ctl',
          label: 'cm_ctl check',
        });
      },
      message: take,
      violated: (text) => finish({ failure: `not a watchdog: ${text}` }),
      closed: (text) => finish({ failure: text }),
    });
    const timer = setTimeout(() => {
      socket.destroy();
      finish({ failure: `no answer within ${config.heartbeatConnectTimeoutMs} ms` });
    }, config.heartbeatConnectTimeoutMs);
  });
}
