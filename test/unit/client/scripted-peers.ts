/** What the tests of the client share: scripted peers that end with their test, and clients of them. */
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { CmClient } from '../../../src/client/client.js';
import type { CmError } from '../../../src/client/errors.js';
import type { CmClientConfig } from '../../../src/client/options.js';
import { FakeConmgr, type OfferedInstance, type Script } from '../../support/fake-conmgr.js';
import { FakeInstance, type InstanceBehaviour } from '../../support/fake-instance.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

export async function instance(behaviour: Partial<InstanceBehaviour> = {}): Promise<FakeInstance> {
  const fake = await FakeInstance.start(behaviour);
  closing.push(() => fake.stop());
  return fake;
}

export async function conmgr(script: Script): Promise<FakeConmgr> {
  const fake = await FakeConmgr.start(script);
  closing.push(() => fake.stop());
  return fake;
}

export const offer = (...fakes: FakeInstance[]): OfferedInstance[] =>
  fakes.map((fake, index) => ({
    instance: index + 1,
    port: fake.port,
    role: fake.behaviour.standby ? 'standby' : 'primary',
  }));

export function newClient(
  peers: readonly { readonly port: number }[],
  config: CmClientConfig = {},
): CmClient {
  const client = new CmClient({
    host: peers.map(() => '127.0.0.1'),
    port: peers.map((one) => one.port),
    user: 'me',
    database: 'db',
    ...config,
  });
  closing.push(() => client.end());
  return client;
}

/** A client whose errors are collected. */
export async function connected(peers: readonly { readonly port: number }[], config: CmClientConfig = {}) {
  const client = newClient(peers, config);
  const errors: CmError[] = [];
  client.on('error', (error) => errors.push(error as CmError));
  await client.connect();
  return { client, errors };
}

export async function portOf(client: CmClient): Promise<number> {
  const { rows } = await client.query('SELECT port');
  return Number(rows[0]?.c0);
}

/** events.once() would reject for the error that comes first. */
export function endOf(client: CmClient): Promise<void> {
  return new Promise((resolve) => client.once('end', resolve));
}

export async function rejection(promise: Promise<unknown>): Promise<CmError> {
  try {
    await promise;
  } catch (error) {
    return error as CmError;
  }
  return assert.fail('nothing was rejected');
}
