/** Asks conmgr as an application does, and tells what it was told. */
import type { Ask } from '../../../src/core/protocol/ask.js';
import type { ConmgrProcess } from '../../support/conmgr-process.js';

/** The instances that are offered, best first, or the SQLSTATE of the refusal. */
export async function offeredBy(
  conmgr: ConmgrProcess,
  target: Ask['target'],
): Promise<readonly number[] | string> {
  const client = conmgr.ask({ target });
  try {
    return await client.offered();
  } catch (error) {
    if (client.refused === undefined) throw error;
    return client.refused.sqlState;
  } finally {
    client.vanish();
  }
}
