/** `conmgr/client`: attaches Node.js applications to conmgr (docs/client.md). */
export { CmClient, type CmStatus } from './client.js';
export { type CmDriver, cmDriver } from './driver.js';
export { CmError, type LostInstance } from './errors.js';
export type { CmInstance } from './loss.js';
export type {
  CmClientConfig,
  CmOptions,
  CmPoolConfig,
  ConmgrLost,
  ConmgrMode,
  TargetOption,
} from './options.js';
export { CmPool } from './pool.js';
export { type CmSocketConfig, cmSocket, type PostgresJsOptions } from './postgres-js.js';

export { type CmStream, cmStream } from './stream.js';
