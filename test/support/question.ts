/** What an application asks conmgr, as a test or a benchmark puts it together. */
import { ASK_OPTION, type Ask, encodeAsk } from '../../src/core/protocol/ask.js';
import { encodeStartup } from '../../src/core/protocol/startup.js';

/** For any server, and nothing besides. */
export const NO_WISHES: Ask = {
  target: 'any',
  prefer: [],
  exclude: [],
  attach: undefined,
  ping: false,
  app: '',
};

/** The start-up packet that asks for a server. */
export function questionFor(target: Ask['target']): Buffer {
  return encodeStartup([
    ['user', 'app'],
    ['database', 'app'],
    [ASK_OPTION, encodeAsk({ ...NO_WISHES, target })],
  ]);
}
