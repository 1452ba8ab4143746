/** One look into the instance by SQL. */
import {
  CHECK_SQL,
  type CheckRow,
  type RawCheckRow,
  ROLE_CHANGED_SQLSTATE,
  readCheckRow,
} from '../core/instance/check-row.js';
import { type DataDirectory, readNewestTimeline } from '../io/data-directory.js';
import { type PgSession, SqlError } from '../io/pg-session.js';

/** How often a check is repeated at once because the role changed under it. */
const ROLE_RETRIES = 3;

/** Role, timeline, positions and the rest. Rejects with SqlError or SqlUnreachable. */
export async function checkInstance(session: PgSession, directory: DataDirectory): Promise<CheckRow> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [raw] = await session.query<RawCheckRow>(CHECK_SQL);
      if (raw === undefined) throw new Error('the check returned no row');
      const needed = raw.in_recovery && raw.received_tli === null;
      return readCheckRow(raw, needed ? await readNewestTimeline(directory.path) : 0);
    } catch (error) {
      const changed = error instanceof SqlError && error.sqlState === ROLE_CHANGED_SQLSTATE;
      if (!changed || attempt === ROLE_RETRIES) throw error;
    }
  }
}
