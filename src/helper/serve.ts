/** Serves the callers of the helper: who they are, what lists allow them, and what they asked for. */
import { Permission } from '../core/guard/target-list.js';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import type { Clock } from '../core/time.js';
import { serveHelper } from '../io/helper-socket.js';
import { errorText, type Native } from '../io/native.js';
import { readTargetLists } from '../io/target-lists.js';
import type { PeerCredentials } from '../io/unix-datagram.js';
import { userNames } from '../io/users.js';
import { type Abilities, HelperService } from './service.js';

export interface ServeOptions {
  readonly socket: string;
  /** Directory of the lists, and whom it must belong to (root). */
  readonly targets: string;
  readonly listOwner?: number;
  readonly native: Native;
  readonly abilities: Abilities;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Serving {
  /** Reads the lists again, for the callers that are there too. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** Listens. Rejects with MessageError (cannotListen). */
export async function serveRequests(options: ServeOptions): Promise<Serving> {
  const { abilities, clock, log, targets: directory } = options;
  const callers = new Map<HelperService, PeerCredentials>();

  const permissionOf = async ({
    uid,
  }: PeerCredentials): Promise<{ user: string; permission: Permission }> => {
    const [{ lists, refused }, users] = await Promise.all([
      readTargetLists(directory, options.listOwner),
      userNames(),
    ]);
    for (const { file, reason } of refused) log.write(HELPER_MESSAGES.listRefused, { file, reason });
    const name = users.get(uid);
    return { user: name ?? String(uid), permission: new Permission(lists, name, uid) };
  };

  const accept = async (peer: PeerCredentials): Promise<HelperService | string> => {
    const { user, permission } = await permissionOf(peer);
    if (!permission.any) return `no list in ${directory} names user ${user}`;
    const service = new HelperService({ abilities, clock, log, directory }, user, permission);
    callers.set(service, peer);
    return service;
  };

  const { socket: path, native } = options;
  const listening = await serveHelper({
    path,
    native,
    clock,
    accept: async (peer) => {
      const service = await accept(peer);
      if (typeof service === 'string') return service;
      return {
        answer: (line) => service.answer(line),
        close: () => {
          callers.delete(service);
          service.close();
        },
      };
    },
    onRefused: ({ uid, pid }, reason) => {
      log.write(HELPER_MESSAGES.strangerRefused, { peer: uid, pid, reason });
    },
  }).catch((error: unknown) => {
    throw new MessageError(HELPER_MESSAGES.cannotListen, { path, reason: errorText(error) });
  });

  return {
    reload: async () => {
      for (const [service, peer] of [...callers]) service.permit((await permissionOf(peer)).permission);
    },
    close: async () => {
      await listening.close();
      abilities.guard?.close();
      abilities.routes?.close();
    },
  };
}
