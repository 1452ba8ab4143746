/** What ConmgrCore asks its shell to do, in the order given. */

import type { ConmgrMessageName } from '../messages/conmgr.js';
import type { MessageParams } from '../messages/message.js';
import type { Candidate, ConmgrMessage } from '../protocol/first-phase.js';
import type { HeartbeatMessage } from '../protocol/messages.js';
import type { ErrorFields } from '../protocol/startup.js';

export type ConmgrEffect =
  /** Resolve the host name of the instance; answer with link event `resolved` or `resolveFailed`. */
  | { readonly do: 'resolve'; readonly instance: number }
  | { readonly do: 'connect'; readonly instance: number; readonly address: string }
  | { readonly do: 'send'; readonly instance: number; readonly message: HeartbeatMessage }
  | { readonly do: 'disconnect'; readonly instance: number }
  /** Ask the postmaster for a sign of life; answer with `probed`. */
  | { readonly do: 'probe'; readonly instance: number; readonly timeoutMs: number }
  /** The instance has left the configuration: forget its connection and its probe. */
  | { readonly do: 'forget'; readonly instance: number }
  /** The same messages to many sessions, to be sent in slices; `close`: end each connection after them. */
  | {
      readonly do: 'tell';
      readonly sessions: readonly number[];
      readonly messages: readonly ConmgrMessage[];
      readonly close: boolean;
    }
  /** Forward this session to the place; whatever it was forwarded to, or about to be, is given up. */
  | { readonly do: 'route'; readonly session: number; readonly place: Candidate }
  /** Give up the place that was being tried for this session; another one, or a refusal, follows. */
  | { readonly do: 'hold'; readonly session: number }
  /** The server of these sessions is lost to them: both ends of each are reset, in slices. */
  | { readonly do: 'reset'; readonly sessions: readonly number[] }
  /** ErrorResponse to one session, then its connection is closed. */
  | { readonly do: 'refuse'; readonly session: number; readonly error: ErrorFields }
  | { readonly do: 'log'; readonly message: ConmgrMessageName; readonly params: MessageParams }
  /** What `status` shows has changed. */
  | { readonly do: 'changed' }
  /** Everything has been said: the process may end. */
  | { readonly do: 'exit' };
