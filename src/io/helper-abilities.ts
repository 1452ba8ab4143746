/** What conmgr-helper can do on this host and may do for this conmgr. */
import type { ConmgrConfig, ListenerConfig } from '../core/config/types.js';
import { wireTarget } from '../core/conmgr/kernel-orders.js';
import { type Destination, redirectedListeners } from '../core/conmgr/kernel-wishes.js';
import { MOST_TARGETS } from '../core/guard/request.js';
import { formatTarget, parseTarget, type Target } from '../core/guard/target.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { MessageError } from '../core/messages/message-error.js';
import { type HelperAnswer, HelperUnreachable, REFUSED } from './helper-client.js';

/** What the helper said; in all texts '' = it can. */
export interface Abilities {
  readonly guard: string;
  readonly redirect: string;
  /** What of these instances and listeners no list of root allows. */
  readonly refused: readonly string[];
  readonly refusedTargets: readonly string[];
  readonly refusedListeners: ReadonlySet<number>;
}

/** Asks. undefined: it cannot be reached, or answers otherwise than it should. */
export async function probeHelper(
  ask: (request: object) => Promise<HelperAnswer | Error>,
  config: Pick<ConmgrConfig, 'instances' | 'listeners'>,
  places: readonly Destination[],
): Promise<Abilities | undefined> {
  const targets = distinct([...configuredTargets(config), ...places.map(({ target }) => target)]);
  const ports = redirectedListeners(config).map(({ port }) => port);
  const [one, two] = await Promise.all([
    ask({ do: 'probe', targets: targets.slice(0, MOST_TARGETS).map(wireTarget) }),
    ask({ do: 'probe', listeners: ports.slice(0, MOST_TARGETS) }),
  ]);
  if (one instanceof Error || two instanceof Error) return undefined;
  const problem = (name: string): string => (one[name] === null ? '' : String(one[name]));
  const refusedTargets = refusedOf(one);
  const refused = refusedOf(two);
  return {
    guard: problem('guard'),
    redirect: problem('redirect'),
    refused: [...refusedTargets, ...refused],
    refusedTargets,
    refusedListeners: new Set(ports.filter((port) => refused.includes(`listener ${port}`))),
  };
}

/** Those whose address stands in conmgr.conf; that of a name is known once it was reached. */
export function configuredTargets({ instances }: Pick<ConmgrConfig, 'instances'>): Target[] {
  return instances.flatMap(
    ({ host, hostaddr, backendPort }) => parseTarget(hostaddr ?? host, backendPort) ?? [],
  );
}

function distinct(targets: readonly Target[]): Target[] {
  return [...new Map(targets.map((target) => [formatTarget(target), target])).values()];
}

function refusedOf(answer: HelperAnswer): string[] {
  const refused = answer['refused'];
  return Array.isArray(refused) ? refused.map(String) : [];
}

const REGISTER = 'As root, "cm_ctl register" writes the list of an instance to /etc/conmgr/targets.d.';

/** Throws MessageError (guardImpossible) with the cure, unless the connections to all instances can be ended. */
export function assertGuard(helper: Abilities | HelperUnreachable): void {
  const refuse = (reason: string, cure: string): never => {
    throw new MessageError(CONMGR_MESSAGES.guardImpossible, { reason, cure });
  };
  if (helper instanceof HelperUnreachable) {
    refuse(`conmgr-helper cannot be reached: ${helper.message}`, cureOf(helper));
  } else if (helper.guard !== '') {
    refuse(helper.guard, 'The log of conmgr-helper has the cure: journalctl -u conmgr-helper');
  } else if (helper.refusedTargets.length > 0) {
    refuse(`no list of conmgr-helper allows ${helper.refusedTargets.join(', ')}`, REGISTER);
  }
}

/** Why conmgr forwards what comes by a listener; '' = the kernel can redirect it. */
export function whyForwarded({ mode, port }: ListenerConfig, helper: Abilities | HelperUnreachable): string {
  if (mode === 'gateway') return 'listener_mode is gateway';
  if (helper instanceof Error) return `conmgr-helper cannot be reached: ${helper.message}`;
  if (helper.redirect !== '') return helper.redirect;
  return helper.refusedListeners.has(port) ? `no list of conmgr-helper allows listener ${port}` : '';
}

/** What makes the helper reachable. */
export function cureOf({ code }: HelperUnreachable): string {
  switch (code) {
    case 'EACCES':
      return (
        'Its socket is for members of group conmgr: "SupplementaryGroups=conmgr" in a drop-in of the unit, or ' +
        'usermod --append --groups conmgr USER.'
      );
    case REFUSED:
      return REGISTER;
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'Switch it on: systemctl enable --now conmgr-helper';
    default:
      return 'See what it does: systemctl status conmgr-helper';
  }
}
