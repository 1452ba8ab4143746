/** What `cm_ctl check` says of the kernel: whether connections can be ended and redirected, and what is missing. */
import type { ConmgrConfig } from '../core/config/types.js';
import { type Destination, redirectedListeners, wantsKernel } from '../core/conmgr/kernel-wishes.js';
import { HELPER_SOCKET } from '../core/guard/request.js';
import { formatTarget, parseTarget } from '../core/guard/target.js';
import { Permission } from '../core/guard/target-list.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { MessageError } from '../core/messages/message-error.js';
import { systemClock } from '../io/clock.js';
import { type Abilities, assertGuard, probeHelper, whyForwarded } from '../io/helper-abilities.js';
import { HelperClient, HelperUnreachable } from '../io/helper-client.js';
import { resolveHost } from '../io/resolver.js';
import { readTargetLists } from '../io/target-lists.js';
import { lookUpUser } from '../io/user-lookup.js';
import type { Call } from './call.js';

/** The helper answers within milliseconds. */
const ANSWER_WITHIN_MS = 2000;

/**
 * Says which way each listener would go and whether guard = on would start. false: conmgr would refuse to start.
 * @param owner user that conmgr would run as
 */
export async function checkKernel(
  { world }: Call,
  config: ConmgrConfig,
  owner: number,
  title: string,
): Promise<boolean> {
  if (!wantsKernel(config)) return true;
  const { output, environment } = world;
  const path = environment['CONMGR_HELPER_SOCKET'] ?? HELPER_SOCKET;
  const places = await placesOf(config);
  const told = await askHelper(path, config, places);
  // Root may ask for more than the user for whom this is.
  const helper =
    told instanceof Error || world.uid === owner ? told : await asUser(told, config, places, owner);
  output.lines([
    '',
    title,
    ...(config.guard ? [`guard: ${guardWords(helper)}`] : []),
    ...config.listeners.map((listener) => {
      const reason = whyForwarded(listener, helper);
      const way = reason === '' ? 'redirect' : `gateway: ${reason}`;
      return `listener_port${listener.number} = ${listener.port}: ${way}`;
    }),
  ]);
  for (const listener of config.listeners) {
    const reason = whyForwarded(listener, helper);
    if (listener.mode !== 'redirect' || reason === '') continue;
    output.report(CONMGR_MESSAGES.redirectMissing, { port: listener.port, reason });
  }
  const problem = config.guard ? guardProblem(helper) : undefined;
  if (problem !== undefined) output.report(problem.spec, problem.params);
  return problem === undefined;
}

/** Every address of every instance; a name that is not known is told elsewhere. */
async function placesOf({ instances }: ConmgrConfig): Promise<Destination[]> {
  const found = instances.map(async ({ number, host, hostaddr, backendPort }): Promise<Destination[]> => {
    const addresses = await resolveHost(hostaddr ?? host ?? '').catch(() => []);
    const targets = addresses.flatMap((address) => parseTarget(address, backendPort) ?? []);
    return targets.map((target) => ({ instance: number, target }));
  });
  return (await Promise.all(found)).flat();
}

function askHelper(
  path: string,
  config: ConmgrConfig,
  places: readonly Destination[],
): Promise<Abilities | HelperUnreachable> {
  return new Promise((resolve) => {
    const settle = (outcome: Abilities | HelperUnreachable): void => {
      patience.cancel();
      client.close();
      resolve(outcome);
    };
    const client = new HelperClient({
      path,
      clock: systemClock,
      onUp: () =>
        void probeHelper(
          (request) => client.ask(request).catch((error: Error) => error),
          config,
          places,
        ).then((abilities) => {
          if (abilities !== undefined) settle(abilities);
        }),
      onDown: settle,
    });
    const patience = systemClock.setTimer(ANSWER_WITHIN_MS, () => settle(new HelperUnreachable('no answer')));
    client.start();
  });
}

/** The same with what the lists allow that user. */
async function asUser(
  told: Abilities,
  config: ConmgrConfig,
  places: readonly Destination[],
  uid: number,
): Promise<Abilities> {
  const [{ lists }, account] = await Promise.all([readTargetLists(), lookUpUser(uid)]);
  const permission = new Permission(lists, account?.name, uid);
  const refusedTargets = places
    .filter(({ target }) => !permission.allowsTarget(target))
    .map(({ target }) => formatTarget(target));
  const ports = redirectedListeners(config)
    .map(({ port }) => port)
    .filter((port) => !permission.allowsListener(port));
  return { ...told, refusedTargets, refusedListeners: new Set(ports) };
}

function guardWords(helper: Abilities | HelperUnreachable): string {
  return guardProblem(helper) === undefined ? 'possible' : 'not possible';
}

function guardProblem(helper: Abilities | HelperUnreachable): MessageError | undefined {
  try {
    assertGuard(helper);
    return undefined;
  } catch (error) {
    if (error instanceof MessageError) return error;
    throw error;
  }
}
