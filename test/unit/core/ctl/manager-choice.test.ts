import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ChoiceFacts, chooseKind } from '../../../../src/core/ctl/manager-choice.js';

const never = async (): Promise<boolean> => {
  throw new Error('not needed, and asking takes time');
};
const yes = async (): Promise<boolean> => true;
const no = async (): Promise<boolean> => false;

/** An ordinary user on a host with systemd. */
const USER: ChoiceFacts = {
  logFileGiven: false,
  systemdRuns: true,
  root: false,
  belongsToSystem: false,
  heldBySystem: no,
  knownToUser: no,
  failedInSystem: no,
  userCanServe: no,
};
const UNASKED = { heldBySystem: never, knownToUser: never, failedInSystem: never, userCanServe: never };

describe('the manager of a conmgr that does not run', () => {
  it('is the one of --manager, whatever else holds', async () => {
    const facts = { ...USER, ...UNASKED, logFileGiven: true, root: true, systemdRuns: false };
    for (const wanted of ['system', 'user', 'none'] as const) {
      assert.equal(await chooseKind(wanted, facts), wanted);
    }
  });

  const CASES: readonly (readonly [string, Partial<ChoiceFacts>, string])[] = [
    ['none with a log file, even for root', { ...UNASKED, logFileGiven: true, root: true }, 'none'],
    ['none without systemd, even for root', { ...UNASKED, systemdRuns: false, root: true }, 'none'],
    ["the system's for root", { root: true, failedInSystem: never, userCanServe: never }, 'system'],
    [
      "the owner's for root when it is registered there",
      { root: true, knownToUser: yes, failedInSystem: never, userCanServe: never },
      'user',
    ],
    ["the system's below its own place", { ...UNASKED, belongsToSystem: true }, 'system'],
    [
      "the system's when it is registered there",
      { heldBySystem: yes, knownToUser: never, failedInSystem: never, userCanServe: never },
      'system',
    ],
    [
      "the user's when it is registered there, whatever was tried with the system's",
      { knownToUser: yes, failedInSystem: never, userCanServe: never },
      'user',
    ],
    [
      "the system's when it failed there and is registered nowhere",
      { failedInSystem: yes, userCanServe: never },
      'system',
    ],
    ["the user's when it can serve the directory", { userCanServe: yes }, 'user'],
    ['none otherwise', {}, 'none'],
  ];
  for (const [what, facts, kind] of CASES) {
    it(`is ${what}`, async () => assert.equal(await chooseKind(undefined, { ...USER, ...facts }), kind));
  }
});
