/** A gateway whose owner takes no notice of it. */
import { Gateway, type GatewayOptions } from '../../src/conmgr/gateway.js';

const nothing = (): void => {};

export const QUIET_OPTIONS: GatewayOptions = {
  events: {
    forward: nothing,
    introduced: nothing,
    routeFailed: nothing,
    bound: nothing,
    backend: nothing,
    closed: nothing,
  },
  hasRoom: () => true,
  descriptorLimit: 100,
  connectTimeoutMs: () => 1000,
};

export function quietGateway(): Gateway {
  return new Gateway(QUIET_OPTIONS);
}
